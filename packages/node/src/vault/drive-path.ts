/** A path in the drive as a person or a program writes it. */
import { limits } from "@tidelock/core/bytes/limits";
import { TidelockError } from "@tidelock/core/errors";
import { nfc } from "@tidelock/core/kinds/files/fold";

/** `a/b`, with or without slashes around; never out of the drive. */
export function partsOf(path: string): readonly string[] {
  if (path.length > limits.name * 256) throw badName();
  const names = nfc(path)
    .split("/")
    .filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) throw badName();
  return names;
}

export function badName(): TidelockError {
  return new TidelockError("usage", {
    why: "this is no path in a drive: each name has 1 to 255 bytes, and none is `..`",
    next: "tidelock drive ls",
  });
}
