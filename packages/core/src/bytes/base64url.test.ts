import { expect, test } from "vitest";
import { fromBase64Url, toBase64Url } from "./base64url.ts";
import { encodeUtf8 } from "./bytes.ts";

test("the vectors of RFC 4648 without their padding, and the two digits of its url alphabet", () => {
  const vectors = {
    "": "",
    f: "Zg",
    fo: "Zm8",
    foo: "Zm9v",
    foob: "Zm9vYg",
    fooba: "Zm9vYmE",
    foobar: "Zm9vYmFy",
  };
  for (const [text, encoded] of Object.entries(vectors)) {
    expect(toBase64Url(encodeUtf8(text))).toBe(encoded);
    expect(fromBase64Url(encoded)).toEqual(encodeUtf8(text));
  }
  expect(toBase64Url(Uint8Array.of(0xfb, 0xff))).toBe("-_8");
});

test("every other spelling is refused", () => {
  for (const wrong of ["A", "Zg=", "Zg==", "Zh", "Zm9=", "+/8", "Zm9v\n", " Zg", "Zé"])
    expect([wrong, fromBase64Url(wrong)]).toEqual([wrong, undefined]);
});

test("any bytes come back", () => {
  for (let n = 0; n < 70; n++) {
    const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 151 + n * 7) & 0xff);
    const text = toBase64Url(bytes);
    expect(text).toBe(Buffer.from(bytes).toString("base64url"));
    expect(fromBase64Url(text)).toEqual(bytes);
  }
});
