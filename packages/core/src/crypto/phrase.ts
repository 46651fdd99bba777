/**
 * The recovery phrase: 24 words of the English BIP-39 list for 32 bytes of entropy and their
 * checksum. The entropy is used as it is; the standard's stretched seed is not. Rules CRY14 to CRY16.
 */
import { entropyToMnemonic, mnemonicToEntropy } from "@scure/bip39";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { needLength, sizes } from "./suite.ts";

export const PHRASE_WORDS = 24;

export type PhraseProblem =
  | { readonly kind: "length"; readonly count: number }
  /** `position` counts from 1; `word` as it was typed, for the person who typed it: never for a log. */
  | { readonly kind: "word"; readonly position: number; readonly word: string }
  | { readonly kind: "checksum" };

export type ParsedPhrase =
  | { readonly ok: true; readonly words: readonly string[]; readonly entropy: Uint8Array }
  | { readonly ok: false; readonly problems: readonly PhraseProblem[] };

export function phraseOf(entropy: Uint8Array): readonly string[] {
  needLength("entropy", entropy, sizes.seed);
  return entropyToMnemonic(entropy, wordlist).split(" ");
}

/**
 * Reads a phrase as people type and paste it: any case and spacing, numbered or with commas, words
 * cut to the four letters that tell them apart. Says every problem at once. Throws nothing, so the
 * words reach no error.
 */
export function parsePhrase(text: string): ParsedPhrase {
  const typed = wordsIn(text);
  const words: string[] = [];
  const problems: PhraseProblem[] = [];
  if (typed.length !== PHRASE_WORDS) problems.push({ kind: "length", count: typed.length });
  for (const [index, word] of typed.entries()) {
    const known = wordFor(word);
    if (known === undefined) problems.push({ kind: "word", position: index + 1, word });
    else words.push(known);
  }
  if (problems.length > 0) return { ok: false, problems };
  const entropy = entropyOf(words);
  if (entropy === undefined) return { ok: false, problems: [{ kind: "checksum" }] };
  return { ok: true, words, entropy };
}

/** The listed words that begin with what was typed so far, at most `limit`: for a prompt. */
export function wordsStarting(prefix: string, limit = 8): readonly string[] {
  const start = plainText(prefix).trim();
  if (start === "") return [];
  return wordlist.filter((word) => word.startsWith(start)).slice(0, limit);
}

/** What is no letter, digit or mark separates; digits alone or in front of a word are its number. */
function wordsIn(text: string): string[] {
  return plainText(text)
    .replace(INVISIBLE, "")
    .split(/[^\p{L}\p{N}\p{M}]+/u)
    .map((word) => word.replace(/^\p{N}+/u, ""))
    .filter((word) => word !== "");
}

/** Soft hyphens, joiners, direction marks, byte order marks: pasted with words. A zero-width space separates. */
const INVISIBLE = /(?!\u200b)\p{Cf}/gu;

function plainText(text: string): string {
  return text.normalize("NFKD").toLowerCase();
}

/** Four letters tell the listed words apart (BIP-39); a whole word of three letters stands for itself. */
function wordFor(typed: string): string | undefined {
  if (typed.length < 3) return undefined;
  const found = wordlist.filter((word) => word.startsWith(typed));
  if (found.includes(typed)) return typed;
  return typed.length >= 4 && found.length === 1 ? found[0] : undefined;
}

function entropyOf(words: readonly string[]): Uint8Array | undefined {
  try {
    return mnemonicToEntropy(words.join(" "), wordlist);
  } catch {
    // The library's error is dropped here: what it says about the words must not travel.
    return undefined;
  }
}
