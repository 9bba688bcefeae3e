declare const brand: unique symbol

/** A primitive that only its parser can mint, so that two kinds of string cannot be mixed up. */
export type Brand<T, Name extends string> = T & { readonly [brand]: { readonly [K in Name]: true } }
