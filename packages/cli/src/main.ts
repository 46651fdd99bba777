/** Runs one command line; resolves to the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  process.stderr.write(`tidelock: unknown command ${JSON.stringify(args[0] ?? "")}\n`);
  return 2;
}
