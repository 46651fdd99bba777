import type { Streams } from "./output.ts";

const own: Streams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };

/** Runs one command line; resolves to the exit code. */
export async function main(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
  streams: Streams = own,
): Promise<number> {
  const { runProgram } = await import("./program.ts");
  return runProgram(args, env, streams);
}
