// All the core may know of its host: UTF-8, in every runtime the same (WHATWG Encoding). Adding a line
// here is a decision about purity; a clock, a timer, randomness or I/O comes in through a port.
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(label?: "utf-8", options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes: Uint8Array): string;
}
