/** The server of bench/tables.ts as a process of its own. Arguments: its folder, its port, the address clients name. */
import { startServer } from "@tidelock/server/host/start";
import { used } from "./figures.ts";

const [folder = "", port = "", url = ""] = process.argv.slice(2);
const running = await startServer({ folder, port: Number(port), url, registration: "token" });
process.on("message", () => process.send?.(used()));
process.on("disconnect", () => void running.stop().finally(() => process.exit(0)));
process.send?.({ registration: await running.invitePerson() });
