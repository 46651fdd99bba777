import { existsSync, readFileSync } from "node:fs";
import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex } from "../bytes/bytes.ts";
import { parsePhrase, phraseOf, wordsStarting } from "./phrase.ts";

const vectors = new URL("../../../../../shared/vectors/bip39/", import.meta.url);
const words24 = phraseOf(Uint8Array.from({ length: 32 }, (_, i) => i));
const entropy = fc.uint8Array({ minLength: 32, maxLength: 32 });

test("[CRY14] every entropy has its phrase, every phrase its entropy", () => {
  fc.assert(
    fc.property(entropy, (bytes) => {
      const words = phraseOf(bytes);
      expect(words.length).toBe(24);
      expect(parsePhrase(words.join(" "))).toEqual({ ok: true, words, entropy: bytes });
    }),
  );
});

if (existsSync(vectors)) {
  test("[CRY14] published BIP-39 vectors: 24 of 24, and the word list", () => {
    const { english } = JSON.parse(readFileSync(new URL("vectors-english.json", vectors), "utf8")) as {
      english: readonly (readonly [entropy: string, words: string, ...rest: string[]])[];
    };
    expect(english.length).toBe(24);
    for (const [hex, words] of english) {
      const bytes = fromHex(hex) as Uint8Array;
      expect(entropyToMnemonic(bytes, wordlist)).toBe(words);
      expect(toHex(mnemonicToEntropy(words, wordlist))).toBe(hex);
      const count = words.split(" ").length;
      if (count === 24) {
        expect(phraseOf(bytes).join(" ")).toBe(words);
        expect(parsePhrase(words)).toMatchObject({ ok: true, entropy: bytes });
      } else {
        expect(parsePhrase(words)).toEqual({ ok: false, problems: [{ kind: "length", count }] });
      }
    }
    const list = readFileSync(new URL("english.txt", vectors), "utf8").trim().split("\n");
    expect(wordlist).toEqual(list);
  });
} else {
  console.warn(`BIP-39 vectors NOT checked: ${vectors.pathname} is not there`);
  test.skip(`published BIP-39 vectors: ${vectors.pathname} is not there`, () => undefined);
}

test.for<[how: string, text: string]>([
  ["capitals", words24.join(" ").toUpperCase()],
  ["line breaks and tabs", words24.join("\r\n\t")],
  ["commas", words24.join(", ")],
  ["numbered lines", words24.map((word, i) => `${i + 1}. ${word}`).join("\n")],
  ["numbers with brackets", words24.map((word, i) => `${i + 1}) ${word}`).join(" ")],
  ["numbers alone", words24.map((word, i) => `${i + 1} ${word}`).join(" ")],
  ["numbers without a space", words24.map((word, i) => `${i + 1}.${word}`).join("\n")],
  [
    "full-width letters",
    words24.join(" ").replace(/[a-z]/g, (c) => String.fromCharCode(c.charCodeAt(0) + 0xfee0)),
  ],
  ["no-break spaces and dashes", words24.join("\u00a0– ")],
  [
    "a byte order mark, soft hyphens and zero-width spaces",
    `\ufeff${words24.join(" \u200b").replace("abs", "ab\u00ads")}`,
  ],
  ["the first four letters", words24.map((word) => word.slice(0, 4)).join(" ")],
  ["quotes around it", `"${words24.join(" ")}."`],
])("[CRY15] a phrase is read with %s", ([, text]) => {
  expect(parsePhrase(text)).toMatchObject({ ok: true, words: words24 });
});

test("[CRY15] four letters tell every listed word from the others", () => {
  expect(new Set(wordlist.map((word) => word.slice(0, 4))).size).toBe(2048);
});

test("[CRY15] three letters are a word only where they are one", () => {
  const read = (first: string): unknown => parsePhrase([first, ...words24.slice(1)].join(" "));
  expect(read("aba")).toEqual({ ok: false, problems: [{ kind: "word", position: 1, word: "aba" }] });
  // "act" is listed, and begins "action", "actor", "actress", "actual".
  expect(read("act")).toEqual({ ok: false, problems: [{ kind: "checksum" }] });
});

test("[CRY16] every problem is said at once, by position", () => {
  const typed = [...words24.slice(0, 22), "tidelok"];
  typed[3] = "aband0n";
  expect(parsePhrase(typed.join(" "))).toEqual({
    ok: false,
    problems: [
      { kind: "length", count: 23 },
      { kind: "word", position: 4, word: "aband0n" },
      { kind: "word", position: 23, word: "tidelok" },
    ],
  });
});

test("[CRY16] the checksum is judged once all words are known", () => {
  const swapped = [words24[1], words24[0], ...words24.slice(2)].join(" ");
  expect(parsePhrase(swapped)).toEqual({ ok: false, problems: [{ kind: "checksum" }] });
  expect(parsePhrase("")).toEqual({ ok: false, problems: [{ kind: "length", count: 0 }] });
});

test("[CRY16, CRY22] no text whatever makes it throw", () => {
  const texts = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constantFrom("ß", "İ", "\ud800"));
  fc.assert(
    fc.property(fc.array(texts), (parts) => {
      expect(parsePhrase(parts.join(" ")).ok).toBe(false);
    }),
  );
});

test("[CRY22] entropy of another length is refused without naming it", () => {
  expect(() => phraseOf(Uint8Array.of(1, 2, 3))).toThrow(new RangeError("entropy is not 32 bytes"));
});

test("words that begin with what was typed", () => {
  expect(wordsStarting("aban")).toEqual(["abandon"]);
  expect(wordsStarting("AB", 3)).toEqual(["abandon", "ability", "able"]);
  expect(wordsStarting("")).toEqual([]);
  expect(wordsStarting("qqq")).toEqual([]);
});
