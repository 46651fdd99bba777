/** A server as a process of its own, for `server-faults.test.ts`: says where it is, and lives until it is killed. */
import { startServer } from "@tidelock/server/host/start";

const [folder, port] = process.argv.slice(2) as [string, string];
const running = await startServer({
  folder,
  port: Number(port),
  registration: "open",
  // What the server is meant to run with; its thread is started from source here.
  writer: "thread",
});
process.stdout.write(`ready ${running.url}\n`);
// Whoever supervises it starts it again.
await running.failed.then(() => process.stdout.write("failed\n"));
