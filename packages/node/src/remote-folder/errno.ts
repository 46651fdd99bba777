import type { Failure } from "@tidelock/core/ports";

/** The errno name of a file system's error; undefined for everything else, which is not ours to answer. */
export function errnoOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" && /^E[A-Z0-9]+$/.test(code) ? code : undefined;
}

/** What a failed call means when it is certain that nothing was placed. Rethrows what is no errno. */
export function failureOf(error: unknown): Failure {
  const code = errnoOf(error);
  switch (code) {
    case undefined:
      throw error;
    case "ENOSPC":
    case "EDQUOT":
      return { kind: "quota", why: `the folder's disk is full (${code})` };
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return { kind: "denied", why: `the folder may not be written or read (${code})` };
    // Of this process or machine, for the moment.
    case "EMFILE":
    case "ENFILE":
    case "ENOMEM":
    case "EAGAIN":
    case "EBUSY":
      return { kind: "busy", retryAfter: 1000 };
    default:
      // A lost mount shows itself as ENOENT, ENOTDIR, ENODEV, EIO, ESTALE, EHOSTDOWN, ETIMEDOUT and more.
      return { kind: "unreachable", why: `the folder cannot be reached (${code})` };
  }
}

/** Errors of a link or rename after which nothing can be standing at the name. All others leave it open. */
export function isCertain(code: string): boolean {
  return [
    "ENOSPC",
    "EDQUOT",
    "EACCES",
    "EPERM",
    "EROFS",
    "ENOENT",
    "ENOTSUP",
    "EOPNOTSUPP",
    "EMLINK",
  ].includes(code);
}

/** `undefined` in place of the named errors. */
export async function unless<T>(codes: readonly string[], call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    const code = errnoOf(error);
    if (code !== undefined && codes.includes(code)) return undefined;
    throw error;
  }
}

/** For tidying up: no error of the file system matters. */
export async function ignoring(call: Promise<unknown>): Promise<void> {
  try {
    await call;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
