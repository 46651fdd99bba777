/** What `doctor` found of one thing. A fact holds numbers and codes, never a path, a name or a value. */
import { errorKinds, TidelockError } from "@tidelock/core/errors";

export interface Finding {
  readonly name: string;
  readonly state: "ok" | "warn" | "fail";
  readonly fact: string;
  /** What to do; on this machine, so it may name paths. */
  readonly next?: string;
}

export const ok = (name: string, fact: string): Finding => ({ name, state: "ok", fact });

export const warn = (name: string, fact: string, next: string): Finding => ({
  name,
  state: "warn",
  fact,
  next,
});

export const fail = (name: string, fact: string, next: string): Finding => ({
  name,
  state: "fail",
  fact,
  next,
});

/** By its code alone: the words of an error may name paths. */
export function failBy(name: string, error: unknown): Finding {
  if (!(error instanceof TidelockError)) return fail(name, "internal: an unknown fault", "tidelock verify");
  return fail(name, `${error.code}: ${errorKinds[error.code].title}`, error.next);
}

/** One thing that cannot be looked at hides no other. */
export async function looked(
  name: string,
  look: () => Finding | undefined | Promise<Finding | undefined>,
): Promise<readonly Finding[]> {
  try {
    const found = await look();
    return found === undefined ? [] : [found];
  } catch (error) {
    return [failBy(name, error)];
  }
}
