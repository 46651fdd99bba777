/**
 * Packs that go to the remote as they are cut: nothing of a large file waits on this disk, where it lies already, and
 * nothing else waits for it. What has arrived is recorded at once, so that what is cut anew is not sent again.
 */
import type { Pack } from "@tidelock/core/log/pack";
import type { Remote, Scheduler } from "@tidelock/core/ports";
import { type Sends, submitStored } from "./files-run.ts";

/** On their way at once: so many packs are in memory. */
const AT_ONCE = 3;
/** A pack of which nothing moves for so long is given up, ms. */
const STANDSTILL = 30_000;

export interface UploadHost extends Sends {
  readonly remote: Remote | undefined;
  readonly scheduler: Scheduler;
}

export class Upload {
  readonly #host: UploadHost;
  readonly #stopped: () => boolean;
  readonly #under = new Set<Promise<void>>();
  #left: Pack[] = [];
  /** It did not take one: the others of this content are not tried. */
  #away: boolean;

  constructor(host: UploadHost, stopped: () => boolean) {
    this.#host = host;
    this.#stopped = stopped;
    this.#away = host.remote === undefined;
  }

  /** Waits while as many are on their way as may. Answers those that could not be sent. */
  async take(packs: readonly Pack[]): Promise<readonly Pack[]> {
    for (const pack of packs) {
      while (this.#under.size >= AT_ONCE) await Promise.race(this.#under);
      if (this.#away || this.#stopped() || this.#host.engine.facts().paused) this.#left.push(pack);
      else this.#send(pack);
    }
    return this.#left.splice(0);
  }

  /** Waits for all. */
  async end(): Promise<readonly Pack[]> {
    await Promise.all(this.#under);
    return this.#left.splice(0);
  }

  #send(pack: Pack): void {
    const going = this.#put(pack).finally(() => this.#under.delete(going));
    this.#under.add(going);
  }

  async #put(pack: Pack): Promise<void> {
    const stored = await this.#unlessStill((moved) =>
      (this.#host.remote as Remote).putBlob(pack.stored.pack, pack.bytes, async () => moved()),
    );
    if (this.#stopped()) return;
    if (stored) submitStored(this.#host, pack);
    else {
      this.#away = true;
      this.#left.push(pack);
    }
  }

  /** Whether it is stored. A remote that never answers is told of elsewhere, and not waited for here. */
  #unlessStill(put: (moved: () => void) => ReturnType<Remote["putBlob"]>): Promise<boolean> {
    const { scheduler } = this.#host;
    return new Promise((resolve) => {
      const late = (): (() => void) => scheduler.after(STANDSTILL, () => resolve(false));
      let cancel = late();
      const work = put(() => {
        cancel();
        cancel = late();
      });
      const end = (stored: boolean): void => {
        cancel();
        resolve(stored);
      };
      work.then(
        ({ kind }) => end(kind === "ok"),
        () => end(false),
      );
    });
  }
}
