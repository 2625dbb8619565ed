import { tensorCores } from '../conv/tensor-cores.ts';
import { check } from '../gpu/errors.ts';
import type { Runtime } from '../gpu/runtime.ts';
import type { ShapeOptions } from '../graph/graph.ts';
import type { ImageModel, Model } from '../model/graph.ts';
import { isQuantized, type QuantizedModel } from '../model/quantized-model.ts';
import { asItRuns } from '../onnx/as-it-runs.ts';
import type { PlanEntry } from '../run/executor.ts';
import { quantizeModel } from '../run/precision.ts';
import { compile } from '../run/session.ts';
import type { Context } from './command.ts';
import { constantOptions, integer, shapeOptions, text } from './options.ts';
import { checkShapes } from './samples.ts';
import { alignTable, columns, mebibytes, thousands } from './table.ts';
import { loadFloatModel, loadNetwork } from './weights.ts';

const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupsPerDimension',
] as const;

export async function run(context: Context): Promise<void> {
  const plan = text(context.options.plan);
  const file = plan !== undefined && isFile(plan) ? plan : undefined;
  const wanted = plan === undefined || file ? null : readPlan(plan);
  const batch = integer('--batch', context.options.batch) ?? 32;
  const shapes = shapeOptions(context.options.shape);
  const constants = constantOptions(context.options.constant);
  const weights = wanted ? await loadFloatModel(context.files, text(context.options.weights)) : null;
  const given = file ? asItRuns((await loadNetwork(context.files, file, constants)).network) : null;
  if (given) checkShapes(isQuantized(given) ? given.model : given, shapes);
  const runtime = await context.runtime();
  const { adapter, device } = runtime;
  const limits = Object.fromEntries(LIMITS.map((name) => [name, device.limits[name]]));
  const { cores, reason } = await tensorCores(runtime);
  const facts: [string, string][] = [
    ['adapter', adapter.name],
    ['vendor', adapter.vendor || '-'],
    ['architecture', adapter.architecture || '-'],
    ['device', adapter.device || '-'],
    ['source', adapter.source],
    ['software', adapter.software ?? 'no'],
    [
      'kernels',
      adapter.profile === 'cpu' ? 'register tiles without barriers (cpu)' : 'workgroup tiles (gpu)',
    ],
    [
      'tensor cores',
      cores
        ? `int8, ${cores.M} x ${cores.N} x ${cores.K}, bit-equal to the packed dot product (kernels: 'tensor')`
        : `no: ${reason}`,
    ],
    ['packed 4x8 dot', hasPackedDot() ? 'yes' : 'no'],
    ['features', adapter.features.join(', ') || '-'],
    ...Object.entries(limits).map(([name, value]): [string, string] => [name, thousands(value as number)]),
  ];
  const width = Math.max(...facts.map(([name]) => name.length));
  for (const [name, value] of facts) context.print(`${name.padEnd(width)}  ${value}`);
  let entries: PlanEntry[] | undefined;
  if (wanted && weights) {
    const network = await precisionOf(runtime, weights.network, wanted);
    entries = await printPlan(context, runtime, network, { batch });
  }
  if (given) entries = await printPlan(context, runtime, given, { batch, shapes });
  await context.writeJson({ adapter, limits, tensorCores: cores ?? { reason }, plan: entries });
}

/** `vgg/linear-8`: the model, the method, the bits. */
function readPlan(plan: string): { method: 'fp32' | 'kmeans' | 'linear'; bits: number } {
  const match = /^vgg\/(?:(fp32)|(kmeans)-([1-8])|(linear)-([2-8]))$/.exec(plan);
  check(
    match,
    "--plan must be MODEL/PRECISION, like 'vgg/fp32', 'vgg/kmeans-4' or 'vgg/linear-8', or a network's file",
    plan,
  );
  return { method: (match[1] ?? match[2] ?? match[4]) as 'fp32', bits: Number(match[3] ?? match[5] ?? 32) };
}

/** A network's file, by its name: it is looked for afterwards. */
const isFile = (plan: string) => /\.(onnx|safetensors|pth|pt)$/i.test(plan);

async function precisionOf(
  runtime: Runtime,
  model: ImageModel,
  { method, bits }: ReturnType<typeof readPlan>,
): Promise<ImageModel | QuantizedModel> {
  const { input } = model.graph;
  // The plan does not depend on the ranges: one image stands for all, without the data set.
  const calibration = Uint8Array.from(
    { length: input.height * input.width * input.channels },
    (_, i) => i % 256,
  );
  // Nor does it depend on where clustering ends.
  return method === 'fp32'
    ? model
    : quantizeModel(runtime, model, { method, bits, calibration, init: 'linear', maxIterations: 1 });
}

async function printPlan(
  context: Context,
  runtime: Runtime,
  network: Model | QuantizedModel,
  { batch, shapes }: { batch: number; shapes?: ShapeOptions },
): Promise<PlanEntry[]> {
  const session = await compile(runtime, network, { batch, shapes });
  try {
    const entries = session.plan();
    context.print();
    const lines = alignTable(
      columns('step, layer, kernel, specialization, workgroups, MACs, reads, writes').map((column, i) => ({
        ...column,
        align: [0, 4, 5].includes(i) ? 'right' : 'left',
      })),
      entries.map((entry) => [
        String(entry.step),
        entry.layer,
        entry.kernel,
        Object.entries(entry.specialization)
          .map(([name, value]) => `${name}=${value}`)
          .join(' '),
        entry.workgroups.join('x'),
        thousands(entry.macs),
        entry.reads.join(', '),
        entry.writes.join(', '),
      ]),
    );
    for (const line of lines) context.print(line);
    const { weights, activations, staging, total } = session.gpuBytes;
    context.print();
    context.print(
      `GPU memory at batch ${batch}: ${mebibytes(total)} MiB (weights ${mebibytes(weights)}, ` +
        `activations ${mebibytes(activations)}, staging ${mebibytes(staging)})`,
    );
    return entries;
  } finally {
    session.destroy();
  }
}

function hasPackedDot(): boolean {
  const features = globalThis.navigator?.gpu?.wgslLanguageFeatures;
  // Dawn in Node has no navigator until somebody installs it; every Dawn has the built-in, emulated where need be.
  return features?.has('packed_4x8_integer_dot_product') ?? true;
}
