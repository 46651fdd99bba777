/** Sockets for hints between the device's waker and the server's connections: late, silent, or gone. */
import type { OpenSocket, Socket } from "@tidelock/remotes/waker";
import type { FaultKind } from "@tidelock/testkit/world/faults";
import { latency } from "@tidelock/testkit/world/network";
import type { Life, SimNode } from "@tidelock/testkit/world/node";
import type { World } from "@tidelock/testkit/world/world";
import type { ServerMachine } from "./server-machine.ts";

const HINT: readonly FaultKind[] = ["no-hint"];
/** No close frame was received (RFC 6455, 7.1.5). */
const LOST = 1006;
/** Two pings without an answer, and the server lets go. */
const NOTICED = 75_000;

export function socketsOver(world: World, machine: ServerMachine, node: SimNode, life: Life): OpenSocket {
  return () => {
    life.check();
    return new SimSocket(world, machine, node, life);
  };
}

/** The server's end, as its machine hands it out. */
export interface Ear {
  receive(text: string): void;
  ended(): void;
}

class SimSocket implements Socket {
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: never) => void) | null = null;
  onclose: ((event: never) => void) | null = null;
  onerror: ((event: never) => void) | null = null;
  readonly #world: World;
  readonly #node: SimNode;
  readonly #life: Life;
  #ear: Ear | undefined;
  #open = true;

  constructor(world: World, machine: ServerMachine, node: SimNode, life: Life) {
    this.#world = world;
    this.#node = node;
    this.#life = life;
    world.timeline.after(latency(world, node), () => {
      if (!this.#open) return;
      this.#ear = this.#cutOff() ? undefined : machine.listen(node.name, this.#wire());
      if (this.#ear === undefined) this.#closed(LOST);
      else this.#tell(() => this.onopen?.({} as never));
    });
  }

  send(text: string): void {
    this.#world.timeline.after(latency(this.#world, this.#node), () => {
      if (!this.#cutOff()) this.#ear?.receive(text);
    });
  }

  /** Also when the device has crashed: then its kernel says so, or nobody does until a ping fails. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    const told = this.#life.alive || !this.#cutOff();
    this.#world.timeline.after(told ? latency(this.#world, this.#node) : NOTICED, () => this.#ear?.ended());
  }

  #cutOff(): boolean {
    return this.#node.cutOffUntil > this.#world.timeline.now;
  }

  #wire(): Parameters<ServerMachine["listen"]>[1] {
    const world = this.#world;
    const site = world.site(`${this.#node.name}/hint`, HINT);
    return {
      isOpen: () => this.#open,
      buffered: () => 0,
      send: (text) => {
        if (this.#cutOff() || world.decide(site) !== undefined) return;
        world.say(() => `server  tells ${this.#node.name} ${text}`);
        this.#tell(() => this.onmessage?.({ data: text } as never));
      },
      close: (code) => {
        this.#ear?.ended();
        this.#closed(code);
      },
      lost: (silent) => {
        if (!silent) this.#closed(LOST);
      },
    };
  }

  #closed(code: number): void {
    this.#tell(() => {
      if (!this.#open) return;
      this.#open = false;
      this.onclose?.({ code } as never);
    });
  }

  #tell(work: () => void): void {
    this.#node.deliver(this.#life, latency(this.#world, this.#node), work);
  }
}
