// npm run soak -- [--part N] [--only NAME]: the same work again and again, after a build. The JavaScript heap,
// resident memory and the GPU objects alive must stay flat: the figures after half of the work (the caches of library
// and driver are warm) and after all of it. --part 0.01 does a hundredth. Exit 1 where anything grew.
import { spawnSync } from 'node:child_process';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { root } from './package.mjs';

if (!globalThis.gc) {
  const { status } = spawnSync(process.execPath, ['--expose-gc', ...process.argv.slice(1)], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

const { values: options } = parseArgs({
  options: { part: { type: 'string', default: '1' }, only: { type: 'string' } },
});
const part = Number(options.part);
if (!(part > 0 && part <= 1)) {
  console.error(`error: --part must be above 0 and at most 1; received ${options.part}`);
  process.exit(1);
}
const load = (name) => import(pathToFileURL(`${root}/dist/${name}.js`).href);
const { compile, createRuntime, kmeans, quantizeModel, vgg } = await load('index');
const { initialize } = await load('tfjs');

/** Growth that is noise of the allocator and of the garbage collector, in MiB. */
const HEAP_SLACK = 4;
const RESIDENT_SLACK = 48;

const alive = { buffers: 0, textures: 0, querySets: 0 };
function count(device) {
  for (const [method, kind] of [
    ['createBuffer', 'buffers'],
    ['createTexture', 'textures'],
    ['createQuerySet', 'querySets'],
  ]) {
    const create = device[method].bind(device);
    device[method] = (descriptor) => {
      const made = create(descriptor);
      const destroy = made.destroy.bind(made);
      let gone = false;
      alive[kind]++;
      made.destroy = () => {
        if (!gone) alive[kind]--;
        gone = true;
        destroy();
      };
      return made;
    };
  }
}

const runtime = await createRuntime();
count(runtime.device);
console.log(`adapter: ${runtime.adapter.name}`);
const model = initialize(
  {
    graph: {
      name: 'small',
      input: { name: 'input', height: 8, width: 8, channels: 3 },
      nodes: [
        { op: 'conv2d', name: 'c0', inputs: ['input'], kernel: [3, 3], pads: [1, 1, 1, 1], outChannels: 8 },
        { op: 'relu', name: 'r0', inputs: ['c0'] },
        { op: 'maxPool', name: 'p0', inputs: ['r0'], kernel: [2, 2], strides: [2, 2] },
        { op: 'flatten', name: 'f', inputs: ['p0'] },
        { op: 'linear', name: 'fc', inputs: ['f'], outFeatures: 5 },
      ],
      output: 'fc',
    },
    parameters: new Map(),
  },
  { seed: 1 },
);
const images = Uint8Array.from({ length: 192 * 4 }, (_, i) => (i * 37 + (i >> 5)) % 256);
const int8 = await quantizeModel(runtime, model, { method: 'linear', bits: 8, calibration: images });
const palette = await quantizeModel(runtime, model, { method: 'kmeans', bits: 2 });
// Large enough that weights left behind would show.
const wide = initialize(vgg({ widthDivisor: 8 }), { seed: 1 });
const weights = Float32Array.from({ length: 2048 }, (_, i) => Math.sin(i) ** 3);
const inits = ['optimal', 'linear', 'kmeans++', 'quantile'];

const kinds = {
  forwards: {
    count: 100_000,
    async prepare() {
      const session = await compile(runtime, int8, { batch: 1 });
      return { step: () => session.run(images.subarray(0, 192)), end: () => session.destroy() };
    },
  },
  'k-means': {
    count: 2_000,
    prepare: async () => ({
      step: (i) => kmeans(runtime, weights, { bits: 2, init: inits[i % inits.length], maxIterations: 5 }),
    }),
  },
  'compile/destroy': {
    count: 1_000,
    prepare: async () => ({
      async step(i) {
        (await compile(runtime, [model, int8, palette, wide][i % 4], { batch: 1 + (i % 2) })).destroy();
      },
    }),
  },
  'create/destroy runtimes': {
    count: 200,
    prepare: async () => ({
      async step() {
        const own = await createRuntime();
        const session = await compile(own, int8, { batch: 1 });
        await session.run(images);
        own.destroy();
      },
    }),
  },
};

let grew = false;
for (const [name, { count: full, prepare }] of Object.entries(kinds)) {
  if (options.only && options.only !== name) continue;
  const total = Math.max(20, Math.round(full * part));
  const { step, end } = await prepare();
  const started = performance.now();
  let early;
  for (let i = 0; i < total; i++) {
    if (i === Math.ceil(total / 2)) early = await measure();
    await step(i);
  }
  const late = await measure();
  const seconds = (performance.now() - started) / 1000;
  end?.();
  const objects = JSON.stringify(early.alive) === JSON.stringify(late.alive);
  const flat =
    objects && late.heap - early.heap < HEAP_SLACK && late.resident - early.resident < RESIDENT_SLACK;
  grew ||= !flat;
  console.log(
    `${flat ? 'flat' : 'GREW'}  ${name}: ${total} in ${seconds.toFixed(0)} s; ` +
      `heap ${early.heap.toFixed(1)} -> ${late.heap.toFixed(1)} MiB, ` +
      `resident ${early.resident.toFixed(0)} -> ${late.resident.toFixed(0)} MiB, ` +
      Object.entries(late.alive)
        .map(([kind, now]) => `${kind} ${early.alive[kind]} -> ${now}`)
        .join(', '),
  );
}
runtime.destroy();
process.exit(grew ? 1 : 0);

/** MiB after everything that can be collected has been, with what the driver holds back until it is asked. */
async function measure() {
  await runtime.idle();
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, rss } = process.memoryUsage();
  return { heap: heapUsed / 2 ** 20, resident: rss / 2 ** 20, alive: { ...alive } };
}
