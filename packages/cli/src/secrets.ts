/** Secrets never stand in arguments: they come from a variable, a private file, stdin, or a prompt. */
import { TidelockError } from "@tidelock/core/errors";
import { readSecretFile } from "@tidelock/node/home/files";
import { tokenOf } from "@tidelock/node/vault/remote";
import type { Context } from "./context.ts";

export function fromVariable(ctx: Context, variable: string, flag: string): string {
  const value = ctx.env[variable];
  if (value === undefined || value.trim() === "")
    throw new TidelockError("usage", {
      why: `${flag}: the variable ${variable} is empty`,
      next: `set ${variable}, and try again`,
    });
  return value;
}

/** For a server that admits only whom it gave a token: from a variable named, or from TIDELOCK_TOKEN. */
export function registrationOf(ctx: Context, variable: string | undefined): Uint8Array | undefined {
  if (variable !== undefined) return tokenOf(fromVariable(ctx, variable, "--token-from-env"));
  const text = ctx.env["TIDELOCK_TOKEN"] ?? "";
  return text === "" ? undefined : tokenOf(text);
}

/** Of whoever runs a server: from a variable named, a private file, or TIDELOCK_OPERATOR_TOKEN. */
export async function operatorTokenOf(
  ctx: Context,
  given: { readonly operatorTokenFromEnv?: string; readonly operatorTokenFile?: string },
): Promise<string | undefined> {
  const { operatorTokenFromEnv: variable, operatorTokenFile: path } = given;
  if (variable !== undefined) return fromVariable(ctx, variable, "--operator-token-from-env").trim();
  if (path !== undefined) return (await fromFile(ctx, path)).trim();
  const text = (ctx.env["TIDELOCK_OPERATOR_TOKEN"] ?? "").trim();
  return text === "" ? undefined : text;
}

export async function fromFile(ctx: Context, path: string): Promise<string> {
  if (path !== "-") return readSecretFile(path);
  const parts: Buffer[] = [];
  for await (const part of ctx.streams.stdin as AsyncIterable<Buffer>) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString("utf8");
}

/** One line from a person. Only called on a terminal. */
export async function ask(ctx: Context, question: string): Promise<string> {
  const { createInterface } = await import("node:readline/promises");
  const lines = createInterface({ input: ctx.streams.stdin, output: ctx.streams.stderr });
  const cancel = new AbortController();
  lines.once("SIGINT", () => cancel.abort());
  lines.once("close", () => cancel.abort());
  try {
    return await lines.question(question, { signal: cancel.signal });
  } catch (cause) {
    throw new TidelockError("cancelled", { why: "nothing was changed", cause });
  } finally {
    lines.close();
  }
}
