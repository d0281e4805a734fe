/**
 * Tasks in words: what a person reads about a status, a time, a price or an error.
 *
 * Pure functions of a snapshot; the page's elements are made elsewhere.
 */

/** What a task is doing, in a few words. */
export function headline(task, now) {
  if (task.canceling && !task.status.match(/ed$/)) return "Canceling";
  switch (task.status) {
    case "queued":
      return waiting(task, now);
    case "processing":
      return task.message ?? (task.kind === "text" ? "Writing" : "Developing");
    case "completed":
      return finished(task);
    case "failed":
      return "Failed";
    case "canceled":
      return task.confirmed === false ? "Canceled, perhaps too late" : "Canceled";
    default:
      return task.status;
  }
}

function waiting(task, now) {
  if (task.retry_at === null) return task.reason ?? "Waiting for its turn";
  const seconds = Math.max(0, Math.ceil((Date.parse(task.retry_at) - now) / 1000));
  const when = seconds > 0 ? `trying again in ${seconds} s` : "trying again";
  return `Attempt ${task.attempt} failed, ${when}`;
}

function finished({ result_data, kind }) {
  const took = result_data?.timings?.running_ms;
  const verb = kind === "text" ? "Written" : "Developed";
  return took === undefined ? verb : `${verb} in ${duration(took)}`;
}

/** Steps and the time left, where they are known; between attempts, why there is another. */
export function pace(task) {
  if (task.status === "queued") return task.retry_at === null ? left(task.eta) : whyFailed(task);
  if (task.status !== "processing") return "";
  const step = task.steps ? `step ${task.step ?? 0} of ${task.steps}` : "";
  return [step, left(task.eta)].filter(Boolean).join(" · ");
}

function left(eta) {
  if (!eta) return "";
  if (eta.high >= 120) return between(eta.low / 60, eta.high / 60, "min");
  return between(eta.low, eta.high, "s");
}

function between(least, most, unit) {
  const [low, high] = [Math.round(least), Math.max(1, Math.round(most))];
  return low < 1 || low === high ? `about ${high} ${unit} left` : `${low} to ${high} ${unit} left`;
}

export const percent = (task) => `${Math.round(task.progress * 100)} %`;

/** @param {number} ms */
export function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** What a create was warned of: a sentence, or a field that is not as it was asked. */
export function warningWords(warning) {
  if (typeof warning === "string") return `${warning}.`;
  return `${warning.field}: asked for ${warning.asked}, it has ${warning.has}.`;
}

/** When a task ended, on the clock of whoever reads it. */
export function when(task) {
  const style = { dateStyle: "medium", timeStyle: "short" };
  return new Intl.DateTimeFormat(undefined, style).format(new Date(task.updated_at));
}

/** Why a task that failed did so, in the words of whoever failed. */
export function whyFailed(task) {
  const error = task.error_data ?? task.error;
  return error?.message ?? error?.error ?? "No reason was given.";
}

/** What a task cost. */
export function cost(charge) {
  if (charge === null) return null;
  const amount = money(charge.amount_micros / 1e6, charge.currency);
  const words = { free: "free", charged: amount, estimated: `about ${amount}`, unknown: "unknown" };
  return words[charge.verdict] ?? charge.verdict;
}

/** What a model costs: dollars a picture, 0 for free, null where nobody knows. */
export function price(model) {
  if (model.price === 0) return "free";
  if (model.price !== null) return money(model.price);
  return model.pricing ? "priced by use" : "price unknown";
}

/** What a request may cost, before it is made. */
export function quoted({ low_micros: low, high_micros: high, consent }) {
  if (!consent.needed) return "Costs nothing.";
  if (high === null) return "Nothing limits what this may cost.";
  const most = money(high / 1e6);
  const words = low === high ? `Costs ${most}.` : `Costs ${money(low / 1e6)} to ${most}.`;
  return consent.given ? words : `${words} Developing it agrees to that.`;
}

/** What is left of a day's budget, where there is one. */
export const allowance = ({ budget }) =>
  budget === null ? "" : `${money(budget.left_micros / 1e6)} left today`;

/** An amount of money; small ones keep their digits. */
export function money(amount, currency = "USD") {
  const digits = amount > 0 && amount < 0.1 ? 4 : 2;
  return new Intl.NumberFormat("en", { style: "currency", currency, maximumFractionDigits: digits })
    .format(amount);
}

/** Where the result lies: the address of the picture or clip, null for text or before the end. */
export function resultUrl(task) {
  const result = task.result_data;
  return result?.image_url ?? result?.video_url ?? task.artifacts[0]?.url ?? null;
}

/** The result's text, as far as it is written. */
export const textOf = (task) => task.result_data?.content ?? task.text;

const EXTENSIONS = {
  "image/png": "png",
  "image/webp": "webp",
  "image/jpeg": "jpg",
  "image/gif": "gif",
  "image/avif": "avif",
  "video/mp4": "mp4",
  "video/webm": "webm",
  "video/quicktime": "mov",
};

/** Where the small picture of a result lies; the result itself where there is none. */
export function thumbUrl(task) {
  const url = resultUrl(task);
  return task.artifacts.find((made) => made.url === url)?.thumbnail_url ?? url;
}

/** @param {number} bytes */
export function fileSize(bytes) {
  if (bytes < 1e6) return `${Math.max(1, Math.round(bytes / 1e3))} kB`;
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A name for the file that is downloaded: words of the prompt, and the seed. */
export function fileName(task) {
  const words = task.input_data.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const slug = words.slice(0, 6).join("-").slice(0, 60) || "task";
  const extension = EXTENSIONS[task.artifacts[0]?.media_type] ?? "bin";
  return `${slug}-${task.seed}.${extension}`;
}

/**
 * The request that makes this task again, as the native body; seed and place and all, unless
 * it is to be another picture wherever that can be made now.
 */
export function bodyOf(task, { withSeed = true } = {}) {
  const { type: _type, prompt, inputs, ...params } = task.input_data;
  const model = task.substituted_for ?? task.model;
  const body = { kind: task.kind, prompt, model };
  if (Object.keys(params).length > 0) body.params = params;
  if (inputs !== undefined) body.inputs = inputs;
  if (withSeed && task.backend !== null) body.backend = task.backend;
  if (withSeed) body.seed = task.seed;
  return body;
}

/** The same as a command for a shell. */
export function curl(task, base, hasToken) {
  const address = new URL("api/tasks", base).href;
  const lines = [`curl -sS ${address}`, "-H 'Content-Type: application/json'"];
  if (hasToken) lines.push('-H "Authorization: Bearer $SAFELIGHT_TOKEN"');
  lines.push(`-d ${shellWord(JSON.stringify(bodyOf(task)))}`);
  return lines.join(" \\\n  ");
}

const shellWord = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
