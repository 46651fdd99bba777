/** What a command says: data to stdout, everything else to stderr. */
import { TidelockError } from "@tidelock/core/errors";

export interface Streams {
  readonly stdin: NodeJS.ReadStream;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export interface OutputOptions {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: boolean;
}

export interface Output extends OutputOptions {
  /** A command's result: one JSON object of its shape, or these lines. */
  data(type: string, value: object, lines: () => readonly string[]): void;
  /** A message on the way; not with `--quiet`. */
  note(text: string): void;
  /** A message that must be seen. */
  warn(text: string): void;
  /** The last word of a command that failed. */
  error(error: TidelockError): void;
  /** One line that replaces itself, on a terminal only; an empty text ends it. */
  progress(text: string): void;
}

export function createOutput(streams: Streams, options: OutputOptions): Output {
  const { stdout, stderr } = streams;
  const paint = (code: number, text: string): string =>
    options.color ? `\u001b[${code}m${text}\u001b[0m` : text;
  let moving = false;
  const clear = (): void => {
    if (moving) stderr.write("\r\u001b[K");
    moving = false;
  };
  return {
    ...options,
    data: (type, value, lines) => {
      clear();
      if (options.json) stdout.write(`${JSON.stringify({ type, v: 1, ok: true, ...value })}\n`);
      else for (const line of lines()) stdout.write(`${printable(line)}\n`);
    },
    note: (text) => {
      clear();
      if (!options.quiet) stderr.write(`${text}\n`);
    },
    warn: (text) => {
      clear();
      stderr.write(`${text}\n`);
    },
    error: (error) => {
      clear();
      if (options.json) {
        const { code, title, why, next, retryable, details } = error;
        const shown = { code, message: title, why, next, retryable, details };
        stdout.write(`${JSON.stringify({ type: "Error", v: 1, ok: false, error: shown })}\n`);
        return;
      }
      stderr.write(`${paint(31, `error[${error.code}]`)}: ${error.title}\n`);
      stderr.write(`  why:  ${printable(error.why)}\n  next: ${printable(error.next)}\n`);
      if (options.verbose && error.cause instanceof Error)
        stderr.write(`  from: ${error.cause.stack ?? ""}\n`);
    },
    progress: (text) => {
      if (options.quiet || !stderr.isTTY) return;
      clear();
      if (text === "") return;
      stderr.write(text);
      moving = true;
    },
  };
}

/**
 * Names and texts come from other devices: what would move a terminal's cursor, set its title or
 * turn the direction of writing is shown, not done.
 */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (char) => {
    const known = escapes[char];
    if (known !== undefined) return known;
    const code = char.charCodeAt(0).toString(16);
    return code.length <= 2 ? `\\x${code.padStart(2, "0")}` : `\\u${code.padStart(4, "0")}`;
  });
}

const escapes: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Rows as aligned columns. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  return rows.map((row) =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join("  "),
  );
}

/** Anything thrown, as what a person is told. */
export function asTidelockError(error: unknown): TidelockError {
  if (error instanceof TidelockError) return error;
  const why = error instanceof Error ? error.message : String(error);
  return new TidelockError("internal", {
    why,
    next: "run it again with --verbose, and report it",
    cause: error,
  });
}
