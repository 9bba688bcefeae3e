// First for every test file: what libp2p 3 needs on Node 20.
import '../../src/lib/polyfill.ts'
