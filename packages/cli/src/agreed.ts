/** A yes before something that cannot be taken back. */
import { TidelockError } from "@tidelock/core/errors";
import type { Context } from "./context.ts";
import { ask } from "./secrets.ts";

export interface Question {
  /** What it would do, as the rest of "this would …". */
  readonly would: string;
  /** The same for a person at a terminal, with what follows from it. */
  readonly text: string;
  /** What to look at after a no. */
  readonly next: string;
}

export async function agreed(ctx: Context, { would, text, next }: Question): Promise<void> {
  if (ctx.yes) return;
  if (!ctx.interactive) throw new TidelockError("usage", { why: `this would ${would}`, next: "add --yes" });
  ctx.out.warn(text);
  const answer = await ask(ctx, "Go on? [y/N] ");
  if (!/^y(es)?$/i.test(answer.trim()))
    throw new TidelockError("cancelled", { why: "nothing was changed", next });
}
