/** Resolves once everything that is ready now has had its turn, and input and output too. */
export const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
