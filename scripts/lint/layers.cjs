// Which layer may import which: the table of src/README.md, checked by dependency-cruiser.
const pure = ['lib', 'protocol', 'economy']
const core = [...pure, 'ports']

const may = {
  lib: [],
  protocol: ['lib'],
  economy: ['lib', 'protocol'],
  modules: pure,
  ports: pure,
  units: [...core, 'modules'],
  storage: core,
  network: core,
  arweave: core,
  vm: [...core, 'modules'],
  http: core,
  client: [...core, 'network', 'arweave'],
  devnet: ['lib', 'protocol', 'storage'],
  node: [...core, 'units', 'storage', 'network', 'arweave', 'vm', 'http', 'modules'],
  testnet: [...core, 'modules', 'node', 'devnet', 'client', 'network', 'arweave'],
  cli: [...core, 'modules', 'client', 'network', 'arweave', 'node', 'devnet', 'testnet'],
}

const inputOutput =
  '^(node:(fs|net|http|https|dgram|tls|child_process|worker_threads|os)|fs|net|http|https|level|libp2p|@libp2p/.*|@grpc/.*|arweave|fastify|mercurius|@permaweb/.*)'

module.exports = {
  forbidden: [
    ...Object.entries(may).map(([layer, allowed]) => ({
      name: `layer-${layer}`,
      comment: `${layer} may import: ${allowed.join(', ') || 'nothing'}`,
      severity: 'error',
      from: { path: `^src/${layer}/` },
      to: { path: '^src/', pathNot: `^src/(${[layer, ...allowed].join('|')})/` },
    })),
    {
      name: 'pure-core',
      comment: 'No input or output below the adapters.',
      severity: 'error',
      from: { path: '^src/(lib|protocol|economy|modules|ports|units)/' },
      to: { path: inputOutput },
    },
    {
      name: 'generated-code',
      comment: 'Generated code is imported where wire messages are converted, nowhere else.',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/network/(grpc|libp2p/envelope)' },
      to: { path: '^src/network/grpc/generated/' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true, viaOnly: { pathNot: 'generated' } },
    },
    { name: 'src-not-test', severity: 'error', from: { path: '^src/' }, to: { path: '^(test|scripts)/' } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    exclude: { path: 'dist/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.cjs', '.d.ts'],
    },
  },
}
