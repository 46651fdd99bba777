/** `help`: the commands, the errors, and the shapes of `--json`. */
import { errorKinds, TidelockError } from "@tidelock/core/errors";
import type { Command } from "commander";
import type { Context } from "../context.ts";
import { columns } from "../output.ts";

export async function help(
  program: Command,
  ctx: Context,
  _options: Record<string, unknown>,
  topic?: string,
): Promise<undefined> {
  if (topic === undefined) return void ctx.streams.stdout.write(program.helpInformation());
  if (topic === "errors") {
    const errors = Object.entries(errorKinds).map(([code, kind]) => ({ code, ...kind }));
    ctx.out.data("ErrorKinds", { errors }, () =>
      columns(errors.map((e) => [e.code, String(e.exit), e.title])),
    );
    return;
  }
  if (topic === "json") {
    const { jsonSchemas } = await import("../shapes.ts");
    ctx.streams.stdout.write(`${JSON.stringify(jsonSchemas(), null, 2)}\n`);
    return;
  }
  const command = program.commands.find((one) => one.name() === topic || one.aliases().includes(topic));
  if (command === undefined)
    throw new TidelockError("usage", { why: `there is no ${topic}`, next: "tidelock help" });
  ctx.streams.stdout.write(command.helpInformation());
}
