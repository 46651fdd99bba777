import { describe, expect, test } from "vitest";
import { encodeUtf8, toHex } from "../../bytes/bytes.ts";
import { createPortableSuite } from "../../crypto/sodium-portable.ts";
import { fold, isAssigned, nfc } from "./fold.ts";
import { ASSIGNED, FOLDED } from "./fold-data.ts";

const suite = await createPortableSuite();

describe("names that are one", () => {
  test("[FIL3] golden: the tables are those of the format", () => {
    expect(toHex(suite.sha256(encodeUtf8(`${FOLDED}\n${ASSIGNED}`)))).toBe(
      "f92dbf6fc8cd1ed0a31fa92ba824233b9cf5e6a21a7ece27553fadc946af7148",
    );
  });

  test("[FIL3] a code point folds as the engine compares it without case, and to one that folds no further", () => {
    let folding = 0;
    for (let code = 0; code <= 0x10ffff; code++) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const char = String.fromCodePoint(code);
      const to = fold(char);
      if (to === char) continue;
      folding++;
      expect(fold(to)).toBe(to);
      expect(new RegExp(`^\\u{${code.toString(16)}}$`, "iu").test(to)).toBe(true);
      expect(isAssigned(code) && isAssigned(to.codePointAt(0) as number)).toBe(true);
    }
    expect(folding).toBe(1457);
  });

  test("[FIL3] no Turkish rules, no folding to more than one letter", () => {
    expect(fold("I")).toBe("i");
    expect(fold("İ")).toBe("İ");
    expect(fold("ı")).toBe("ı");
    expect(fold("Straße")).toBe("straße");
    expect(fold("ẞ")).toBe("ß");
    expect(fold("ΣΑΣ")).toBe(fold("σας"));
  });

  test("[FIL3] what Unicode 15.1 does not know stands as it is, whatever the engine knows", () => {
    // U+1E6D0 was assigned in Unicode 17, U+105C9 (two parts, composed) in 16.
    expect(isAssigned(0x1e6d0)).toBe(false);
    expect(isAssigned(0x105c9)).toBe(false);
    expect(nfc("e\u0301")).toBe("é");
    expect(nfc("\u{105d2}\u0307")).toBe("\u{105d2}\u0307");
    expect(nfc("e\u{105d2}\u0301 e\u0301")).toBe("e\u{105d2}\u0301 é");
  });
});
