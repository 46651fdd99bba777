/** A device that appends and stores until its server is dead, and then knows what it still has to ask. */
import type { Sealed } from "@tidelock/core/bytes/brand";
import type { Member, StoredVault } from "./stored-vault.ts";

/** Frames of an append, bytes of a blob. */
const BATCH = 12;
const BLOB = 200_000;

export class VaultWriter {
  readonly #stored: StoredVault;
  readonly #me: Member;
  readonly #random: () => number;
  /** Its number of the vault's first frame, or of its own admission, is 1. */
  #sent = 1;
  /** May be placed: the same bytes again. */
  #open: readonly Sealed[] | undefined;
  /** Answers that must not come. */
  readonly wrong: string[] = [];

  constructor(stored: StoredVault, me: Member, random: () => number) {
    this.#stored = stored;
    this.#me = me;
    this.#random = random;
  }

  async write(): Promise<void> {
    while (await this.#step());
  }

  /** Asks for what is still open. */
  async settle(): Promise<void> {
    if (this.#open !== undefined && !(await this.#send(this.#open))) this.wrong.push("a frame stays open");
  }

  #step(): Promise<boolean> {
    if (this.#open !== undefined) return this.#send(this.#open);
    if (this.#random() < 0.12) return this.#store();
    return this.append(this.#random() < 0.7 ? 1 : 1 + Math.floor(this.#random() * BATCH));
  }

  /** So many new frames. False once the server does not answer. */
  append(size: number): Promise<boolean> {
    const { vault } = this.#stored;
    const { device, index } = this.#me;
    const frames = Array.from({ length: size }, () => {
      const n = ++this.#sent;
      return vault.data(device, index, n, `${n} ${"x".repeat(Math.floor(this.#random() * 400))}`);
    });
    return this.#send(frames);
  }

  async #send(frames: readonly Sealed[]): Promise<boolean> {
    this.#open = frames;
    const answer = await this.#me.remote.append(frames, { seq: 0, hash: new Uint8Array(32) });
    switch (answer.kind) {
      case "committed":
        this.#open = undefined;
        this.#stored.placed(answer.first, frames);
        return true;
      case "unknown":
      case "unreachable":
        return false;
      case "behind":
      case "busy":
      case "denied":
      case "quota":
      case "corrupt":
        this.wrong.push(`an append was answered ${JSON.stringify(answer)}`);
        return false;
    }
  }

  async #store(): Promise<boolean> {
    const { suite } = this.#stored;
    const size = 1 + Math.floor(this.#random() ** 4 * BLOB);
    const blob = suite.random(size) as Sealed;
    const answer = await this.#me.remote.putBlob(suite.sha256(blob), blob);
    if (answer.kind === "ok") this.#stored.stored(blob);
    else if (answer.kind !== "unreachable") this.wrong.push(`a blob was answered ${JSON.stringify(answer)}`);
    return answer.kind === "ok";
  }
}
