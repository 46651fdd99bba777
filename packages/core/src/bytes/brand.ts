declare const brand: unique symbol;

/** A type that only its own `parse` or `seal` function can make. */
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Bytes that are safe to hand to a remote: sealed or signed, never plaintext. */
export type Sealed = Brand<Uint8Array, "Sealed">;

/** A position in one vault's log; genesis is 0. */
export type Seq = number;
