/** Places between two steps whose order matters. A world may stop, kill or delay there; production does nothing. */
export type EnginePoint =
  | "submit.before-commit"
  | "submit.after-commit"
  | "ingest.before-commit"
  | "apply.before-kinds"
  | "apply.between-kinds-and-cursor"
  | "apply.before-commit"
  | "apply.after-commit"
  | "rebuild.before-commit"
  | "rebuild.after-commit"
  | "seal.before-commit"
  | "seal.after-commit"
  | "append.before-send"
  | "append.after-answer"
  | "found.after-genesis"
  | "found.after-blobs";
