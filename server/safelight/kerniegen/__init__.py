"""KernieGen: a server that speaks ComfyUI's language and paints with the local brush.

For whoever has no graphics card, no weights and no network, and for tests that must be
held against something that validates, queues, answers and fails as the real one does. It
shares no module with the adapter that talks to such servers: what one of them gets wrong,
the other must notice. docs/kerniegen.md tells how it is run and what differs.
"""
