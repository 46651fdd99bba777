import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, encodeUtf8 } from "../bytes/bytes.ts";
import { Writer } from "../bytes/writer.ts";
import {
  encodeBody,
  encodeName,
  encodePrivateParts,
  encodePublicPart,
  encodeSettings,
  type MembershipRecord,
  parseBody,
  parseName,
  parsePrivateParts,
  parseSettings,
} from "./records.ts";

const bytes = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const prev = new Uint8Array(32).fill(9);
const anyRecord: fc.Arbitrary<MembershipRecord> = fc.oneof(
  fc.record({
    type: fc.constant("device-add" as const),
    certificate: fc.uint8Array({ minLength: 1, maxLength: 300 }),
    joinSignature: bytes(64),
    envelope: bytes(112),
    recoverSignature: bytes(64),
  }),
  fc.record({
    type: fc.constant("epoch" as const),
    n: fc.constant(1),
    commit: bytes(32),
    envelopes: fc.nat(4096),
    list: bytes(32),
  }),
  fc.record({ type: fc.constant("rules" as const), section: fc.nat(255), version: fc.maxSafeNat() }),
  fc.record({ type: fc.constant("suite" as const), suite: fc.nat(255) }),
  fc.constant<MembershipRecord>({ type: "settings" }),
  fc.constant<MembershipRecord>({ type: "rename" }),
);
const what = (r: MembershipRecord): string => (r.type === "rules" ? `${r.type}${r.section}` : r.type);
const anyBody = fc.record({
  prev: bytes(32),
  records: fc.uniqueArray(anyRecord, { minLength: 1, maxLength: 64, selector: what }),
  sealedPrivate: fc.uint8Array({ maxLength: 60 }),
});

describe("membership body", () => {
  test("[MEM2] every body is read back as it was written", () => {
    fc.assert(
      fc.property(anyBody, ({ prev, records, sealedPrivate }) => {
        const publicPart = encodePublicPart(prev, records);
        expect(parseBody(encodeBody(publicPart, sealedPrivate))).toEqual({
          prev,
          records,
          publicPart,
          sealedPrivate,
        });
      }),
    );
  });

  test("[MEM2] what is read has one spelling: a mutant is refused, or is the encoding of what it says", () => {
    const mutation = fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(anyBody, mutation, fc.nat(3), (body, changes, cut) => {
        const mutant = encodeBody(encodePublicPart(body.prev, body.records), body.sealedPrivate);
        for (const [at, to] of changes) mutant[at % mutant.length] = to;
        const cutOff = mutant.slice(0, mutant.length - cut);
        const parsed = parseBody(cutOff);
        if (parsed === null) return;
        expect(encodeBody(encodePublicPart(parsed.prev, parsed.records), parsed.sealedPrivate)).toEqual(
          cutOff,
        );
      }),
      { numRuns: 500 },
    );
  });

  test("[MEM2] nothing is said twice, nothing is unknown, and there is something", () => {
    const body = (...records: readonly { type: number; bytes: Uint8Array }[]): Uint8Array => {
      const w = new Writer(64).fixed(prev).v(records.length);
      for (const record of records) w.u8(record.type).bytes(record.bytes);
      return w.bytes(new Uint8Array(0)).done();
    };
    const settings = { type: 15, bytes: new Uint8Array(0) };
    const rename = { type: 17, bytes: new Uint8Array(0) };
    const rules = (section: number, version: number) => ({
      type: 12,
      bytes: Uint8Array.of(section, version),
    });
    const suite = (n: number) => ({ type: 13, bytes: Uint8Array.of(n) });
    const epoch = (n: number) => ({
      type: 6,
      bytes: new Writer(80).v(n).fixed(prev).v(2).fixed(prev).done(),
    });
    expect(parseBody(body(settings, rename, rules(2, 5), rules(3, 5), suite(2), epoch(1)))).not.toBeNull();
    expect(parseBody(body())).toBeNull();
    expect(parseBody(body(settings, settings))).toBeNull();
    expect(parseBody(body(rules(2, 5), rules(2, 3)))).toBeNull();
    expect(parseBody(body(epoch(1), epoch(1)))).toBeNull();
    expect(parseBody(body(suite(2), suite(3)))).toBeNull();
    expect(parseBody(body(epoch(2)))).toBeNull();
    expect(parseBody(body(epoch(0)))).toBeNull();
    for (const type of [0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 14, 16, 18, 255])
      expect(parseBody(body({ type, bytes: new Uint8Array(0) }))).toBeNull();
    expect(parseBody(body({ type: 15, bytes: new Uint8Array(1) }))).toBeNull();
    const many = Array.from({ length: 65 }, (_, i) => rules(i, 5));
    expect(parseBody(body(...many.slice(1)))).not.toBeNull();
    expect(parseBody(body(...many))).toBeNull();
    expect(parseBody(concat(body(settings), new Uint8Array(1)))).toBeNull();
  });

  test("[MEM2] a count or length far beyond the input allocates nothing", () => {
    const head = new Writer(64).fixed(prev);
    expect(parseBody(head.v(64).done())).toBeNull();
    expect(
      parseBody(
        new Writer(64)
          .fixed(prev)
          .v(1)
          .u8(15)
          .v(2 ** 40)
          .done(),
      ),
    ).toBeNull();
    expect(parseBody(new Writer(64).fixed(prev).v(Number.MAX_SAFE_INTEGER).done())).toBeNull();
  });
});

describe("private parts", () => {
  test("[MEM3] are read back in order, and are none otherwise", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 64 }), (parts) => {
        expect(parsePrivateParts(encodePrivateParts(parts))).toEqual(parts);
      }),
    );
    expect(parsePrivateParts(Uint8Array.of(1))).toBeNull();
    expect(parsePrivateParts(Uint8Array.of(1, 0, 0))).toBeNull();
    expect(parsePrivateParts(new Writer(8).v(65).done())).toBeNull();
  });

  test("[MEM8] a name that is given is one that is read", () => {
    for (const name of ["a", "Annas Laptop", "é", "家", "x".repeat(255), "👩‍💻", " "])
      expect(parseName(encodeName(name))).toBe(name.normalize("NFC"));
    expect(parseName(encodeName("e\u0301"))).toBe("é");
    for (const name of [
      "",
      "x".repeat(256),
      "家".repeat(86),
      "a\nb",
      "\0",
      "\u007f",
      "\u0085",
      "\u2028",
      "\ud800",
    ]) {
      expect(() => encodeName(name), JSON.stringify(name)).toThrow(
        expect.objectContaining({ code: "bad-name" }),
      );
      const raw = encodeUtf8(name.normalize("NFC"));
      expect(parseName(new Writer(300).bytes(raw).done()), JSON.stringify(name)).toSatisfy(
        (read) => read === null || (name === "\ud800" && read === "\ufffd"),
      );
    }
    // Not in its one form, and not text at all.
    expect(parseName(new Writer(9).bytes(encodeUtf8("e\u0301")).done())).toBeNull();
    expect(parseName(new Writer(9).bytes(Uint8Array.of(0xff)).done())).toBeNull();
  });

  test("[MEM8] settings are read back, or are none", () => {
    const seed = new Uint8Array(32).fill(3);
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (retentionDays, maxFileSize) => {
        const settings = { vaultName: "home", retentionDays, maxFileSize, chunkerSeed: seed };
        expect(parseSettings(encodeSettings(settings))).toEqual(settings);
      }),
    );
    const settings = { vaultName: "", retentionDays: 1, maxFileSize: 1, chunkerSeed: seed };
    expect(() => encodeSettings(settings)).toThrow(expect.objectContaining({ code: "bad-name" }));
    expect(parseSettings(new Uint8Array(0))).toBeNull();
  });
});
