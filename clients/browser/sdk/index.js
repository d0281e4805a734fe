/** The public names of the browser SDK; README.md shows how they are used. */

export { connect, Client } from "./tasks.js";
export { ENDED, fold, hasEnded } from "./fold.js";
export { LATER, SafelightError } from "./errors.js";
export { parseCursor } from "./watch.js";
