/** What happens, told as it happens: one JSON object a line, for as long as somebody listens. */
import { createHash } from "node:crypto";
import type { ServerResponse } from "node:http";
import type { TransferList } from "../vault/moving.ts";
import type { VaultStatus } from "../vault/status.ts";
import type { VaultService } from "./service.ts";

export interface StatusEvent {
  readonly event: "status";
  /** The same for the same status, whichever daemon tells it: after it only another one is told. */
  readonly id: string;
  readonly status: VaultStatus;
}

/** How far the files are whose content is on its way, at most four times a second; once more when none is any more. */
export interface ProgressEvent extends TransferList {
  readonly event: "progress";
}

/** Between two looks at those, ms. */
const PROGRESS = 250;
/** Between two looks, ms: what comes and goes within is no news. */
const LOOK = 1000;
/** Of lines that a listener has not taken. One that does not read is left. */
const UNREAD = 256 << 10;

/**
 * The status now, and again each time something of it changes but the moments of its last syncs. `after`: the id of
 * what the listener was told last; the same is not told again.
 */
export function streamStatus(
  response: ServerResponse,
  { status, transfers }: Pick<VaultService, "status" | "transfers">,
  after?: string,
): void {
  let before = after;
  let timer: NodeJS.Timeout | undefined;
  let moves = false;
  const tellMoves = (): void => {
    transfers().then(
      (list) => {
        const some = list.items.length > 0;
        // A listener that does not read is left by the look at the status.
        if ((some || moves) && !response.destroyed && response.writableLength === 0) {
          const line: ProgressEvent = { event: "progress", ...list };
          response.write(`${JSON.stringify(line)}\n`);
          moves = some;
        }
      },
      () => undefined,
    );
  };
  const tell = (found: VaultStatus): void => {
    const { lastSync: _, lastUpload: __, lastDownload: ___, ...rest } = found;
    const id = createHash("sha256").update(JSON.stringify(rest)).digest("hex").slice(0, 32);
    if (id === before) return;
    before = id;
    const line: StatusEvent = { event: "status", id, status: found };
    response.write(`${JSON.stringify(line)}\n`);
  };
  const look = (): void => {
    status().then(
      (found) => {
        if (response.destroyed) return;
        tell(found);
        if (response.writableLength > UNREAD) response.destroy();
        else timer = setTimeout(look, LOOK);
      },
      // The vault is being closed: so is this.
      () => response.destroy(),
    );
  };
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  const watch = setInterval(tellMoves, PROGRESS);
  response.once("close", () => {
    clearTimeout(timer);
    clearInterval(watch);
  });
  look();
}
