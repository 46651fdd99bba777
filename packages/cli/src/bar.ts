/** A bar while a file is on its way, on a terminal alone. */
import type { VaultService } from "@tidelock/node/daemon/service";
import type { TransferItem, TransferSums } from "@tidelock/node/vault/moving";
import { bytesOf } from "./bytes.ts";
import type { Context } from "./context.ts";

/** Files that take no time to speak of need none. */
const LEAST = 4 << 20;
const STEP = 250;
const WIDTH = 24;

/** `work` with a bar of the file called `name` beside it. */
export async function withBar<T>(
  ctx: Context,
  vault: Pick<VaultService, "transfers">,
  name: (item: TransferItem) => boolean,
  work: Promise<T>,
): Promise<T> {
  if (ctx.streams.stderr.isTTY !== true) return work;
  let asking = false;
  const look = (): void => {
    if (asking) return;
    asking = true;
    vault.transfers().then(
      ({ items, up, down }) => {
        asking = false;
        const item = items.find((one) => name(one) && one.total >= LEAST);
        if (item !== undefined) ctx.out.progress(barOf(item, item.direction === "up" ? up : down));
      },
      // The call itself says what is the matter.
      () => undefined,
    );
  };
  const timer = setInterval(look, STEP);
  try {
    return await work;
  } finally {
    clearInterval(timer);
    ctx.out.progress("");
  }
}

export function barOf({ bytes, total }: Pick<TransferItem, "bytes" | "total">, sums: TransferSums): string {
  const share = total === 0 ? 1 : bytes / total;
  const full = Math.round(share * WIDTH);
  const { bytesPerSecond, remainingMs } = sums;
  return [
    `${"#".repeat(full)}${"-".repeat(WIDTH - full)} ${Math.floor(share * 100)} % of ${bytesOf(total)}`,
    ...(bytesPerSecond === undefined ? [] : [`${bytesOf(bytesPerSecond)}/s`]),
    ...(remainingMs === undefined ? [] : [`${timeOf(remainingMs)} left`]),
  ].join(", ");
}

function timeOf(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}
