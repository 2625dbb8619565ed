// Bundled and served by bench/browser.ts; runs inside the page. The data comes from the same server.
import { createRuntime } from '../src/gpu/runtime.ts';
import type { Tensor } from '../src/gpu/tensor.ts';
import { readSafetensors } from '../src/io/safetensors.ts';
import type { ImageModel } from '../src/model/graph.ts';
import { vgg } from '../src/model/vgg.ts';
import type { PageRequest, PageResults } from './browser.ts';
import { benchCases } from './cases/index.ts';
import { measureCeilings } from './ceilings.ts';
import { nameAdapter } from './name-adapter.ts';
import { runCases } from './run.ts';
import type { BenchContext } from './types.ts';

async function fetchBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return new Uint8Array(await response.arrayBuffer());
}

/** What the page's `report` function, which Puppeteer puts there, is told. */
declare function report(line: string): Promise<void>;

async function runBench({ size, filter }: PageRequest): Promise<PageResults> {
  const runtime = await createRuntime();
  try {
    let model: Promise<ImageModel> | undefined;
    const load = async () => {
      const { tensors } = readSafetensors(await fetchBytes('/weights.safetensors'));
      return vgg({ parameters: tensors as ReadonlyMap<string, Tensor> });
    };
    const context: BenchContext = {
      runtime,
      size,
      fresh: () => createRuntime(),
      model: () => (model ??= load()),
      images: (count) => fetchBytes(`/images?count=${count}`),
    };
    const ceilings = await measureCeilings(runtime.device, runtime.adapter.profile === 'cpu');
    const measured = { ...nameAdapter(runtime), ceilings };
    const results = await runCases(context, benchCases(size), {
      ceilings,
      quick: size === 'quick' || size === 'tiny',
      filter,
      onEntry: (entry, sofar) => report(JSON.stringify({ entry, sofar: { ...measured, ...sofar } })),
      onRefusal: (refusal, sofar) => report(JSON.stringify({ refusal, sofar: { ...measured, ...sofar } })),
    });
    return { ...measured, ...results };
  } finally {
    runtime.destroy();
  }
}

Object.assign(globalThis, { runBench });
