import { describe, expect, test } from "vitest";
import { type SyncEvent, type SyncState, syncTable } from "./sync-table.ts";

const states = Object.keys(syncTable) as SyncState[];
const events = Object.keys(syncTable.idle) as SyncEvent[];

/** What can come back from what a state does, and what anybody may say at any time. */
const answers: Readonly<Record<SyncState, readonly SyncEvent[]>> = {
  stopped: [],
  idle: ["due"],
  reading: ["read", "read-nothing", "failed"],
  applying: ["applied-some", "applied-all", "read-more", "failed"],
  sending: ["nothing-to-send", "sent", "received", "behind", "failed"],
  waiting: ["now"],
  paused: [],
};
const said: readonly SyncEvent[] = ["start", "due", "edit", "now", "pause", "resume", "stop"];

describe("the sync table", () => {
  test("[ENG7] has a cell for every state and event, and no other", () => {
    expect(states.sort()).toEqual(["applying", "idle", "paused", "reading", "sending", "stopped", "waiting"]);
    for (const state of states) {
      expect(Object.keys(syncTable[state]).sort()).toEqual([...events].sort());
      for (const event of events) expect(states).toContain(syncTable[state][event].to);
    }
  });

  test("[ENG7] a walk enters every cell, each action only on entering the state that does it", () => {
    const entered = new Set<string>();
    const reached = new Set<SyncState>(["stopped"]);
    const acts: Record<string, SyncState> = {
      read: "reading",
      apply: "applying",
      send: "sending",
      "arm-poll": "idle",
      "arm-retry": "waiting",
      hasten: "waiting",
    };
    for (const state of reached) {
      // Late answers of an earlier state too: every event, in every state that can be reached.
      for (const event of events) {
        const { to, act } = syncTable[state][event];
        entered.add(`${state} ${event}`);
        if (act !== "none") expect(to, `${state} ${event}`).toBe(acts[act]);
        else if (to !== state) expect(["stopped", "paused"]).toContain(to);
        reached.add(to);
      }
    }
    expect(reached.size).toBe(states.length);
    expect(entered.size).toBe(states.length * events.length);
  });

  test("[ENG7] an event that cannot come in a state changes nothing there", () => {
    for (const state of states) {
      for (const event of events) {
        if (said.includes(event) || answers[state].includes(event)) continue;
        expect(syncTable[state][event], `${state} ${event}`).toEqual({ to: state, act: "none" });
      }
    }
  });

  test("[ENG7] a working state moves on at each of its answers, and never waits for nothing", () => {
    for (const state of ["reading", "applying", "sending"] as const) {
      for (const event of answers[state])
        expect(syncTable[state][event].act, `${state} ${event}`).not.toBe("none");
    }
    for (const state of ["idle", "waiting"] as const)
      for (const event of answers[state])
        expect(syncTable[state][event]).toEqual({ to: "reading", act: "read" });
  });

  test("[ENG7] from everywhere there is a way back to idle, and stop and pause are obeyed everywhere", () => {
    for (const from of states) {
      const seen = new Set<SyncState>([from]);
      for (const state of seen) for (const event of events) seen.add(syncTable[state][event].to);
      expect(seen, from).toContain("idle");
      expect(syncTable[from].stop).toEqual({ to: "stopped", act: "none" });
      expect(syncTable[from].pause.to).toBe(from === "stopped" ? "stopped" : "paused");
    }
    // Stopped and paused mean it: only start and resume lead out.
    for (const event of events) {
      if (event !== "start") expect(syncTable.stopped[event].to).toBe("stopped");
      if (event !== "resume" && event !== "stop") expect(syncTable.paused[event].to).toBe("paused");
    }
  });

  test("[ENG8] what failed waits, and only a failed step arms the retry", () => {
    for (const state of states) {
      for (const event of events) {
        const { act } = syncTable[state][event];
        expect(act === "arm-retry", `${state} ${event}`).toBe(
          event === "failed" && ["reading", "applying", "sending"].includes(state),
        );
      }
    }
  });

  test("[ENG8] without progress no circle of steps runs without a timer", () => {
    // Answers that mean no progress: nothing read, nothing applied, nothing placed.
    const idle: readonly SyncEvent[] = ["read-nothing", "applied-all", "nothing-to-send", "failed"];
    for (const from of ["reading", "applying", "sending"] as const) {
      const seen = new Set<SyncState>();
      let state: SyncState = from;
      while (!["idle", "waiting"].includes(state)) {
        expect(seen, `${from} → ${state}`).not.toContain(state);
        seen.add(state);
        const event: SyncEvent = answers[state].find((one) => idle.includes(one)) as SyncEvent;
        state = syncTable[state][event].to;
      }
    }
  });
});
