import { leaveSoon } from "./leave.ts";
import type { Streams } from "./output.ts";

const own: Streams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };

/** Runs one command line; resolves to the exit code. */
export async function main(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = process.env,
  streams: Streams = own,
): Promise<number> {
  // `tidelock log | head` has seen enough: no fault of ours.
  streams.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  const { runProgram } = await import("./program.ts");
  const code = await runProgram(args, env, streams);
  leaveSoon();
  return code;
}
