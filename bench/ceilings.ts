import type { TensorCores } from '../src/conv/tensor-tile.ts';
import type { Ceilings } from './types.ts';

const sumOf = (terms: readonly string[]) => terms.join(' + ');

/** Independent chains with distinct seeds (a compiler merges equal ones), so that latency does not bound the rate. */
function chains(
  type: 'f32' | 'i32',
  count: number,
  rounds: number,
  seed: string,
  step: (a: string) => string,
): string {
  const names = Array.from({ length: count }, (_, k) => `a${k}`);
  return `
@group(0) @binding(0) var<storage, read_write> sink: array<${type}>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u) {
  let s = ${seed};
  ${names.map((a, k) => `var ${a} = s + ${type}(${k + 1});`).join('\n  ')}
  for (var i = 0u; i < ${rounds}u; i++) {
    ${names.map(step).join('\n    ')}
  }
  sink[id.x] = ${sumOf(names)};
}`;
}

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> copy: array<vec4u>;
@compute @workgroup_size(256) fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) n: vec3u) {
  let i = id.x + id.y * n.x * 256u;
  if (i < arrayLength(&source)) { copy[i] = source[i]; }
}`;

/**
 * What this device does at best: f32 fused multiply-adds, `dot4I8Packed`, and a copy from buffer to buffer.
 *
 * The best of 4 and 8 chains counts: 8 hide more latency, 4 need fewer registers.
 *
 * @param small for adapters that are a CPU: the same measurement in a fraction of a second
 */
export async function measureCeilings(device: GPUDevice, small: boolean): Promise<Ceilings> {
  const groups = small ? 64 : 8192;
  const rounds = small ? 64 : 4096;
  const room = Math.min(device.limits.maxStorageBufferBindingSize, device.limits.maxBufferSize);
  const bytes = Math.min(small ? 1 << 24 : 1 << 30, Math.floor(room / 4096) * 4096);
  const buffer = (size: number) => device.createBuffer({ size, usage: GPUBufferUsage.STORAGE });
  const sink = buffer(groups * 256 * 4);
  const from = buffer(bytes);
  const to = buffer(bytes);
  const best = (code: string, x: number, y: number, buffers: readonly GPUBuffer[]) =>
    fastest(device, code, x, y, buffers);
  const rate = async (type: 'f32' | 'i32', seed: string, step: (a: string) => string, operations: number) => {
    let most = 0;
    for (const count of [4, 8]) {
      const ms = await best(chains(type, count, rounds, seed, step), groups, 1, [sink]);
      most = Math.max(most, (groups * 256 * rounds * count * operations) / ms / 1e6);
    }
    return most;
  };
  try {
    const f32GFlops = await rate('f32', 'f32(id.x) * 1e-9', (a) => `${a} = fma(${a}, s, 0.5);`, 2);
    const int8Gops = await rate('i32', 'i32(id.x)', (a) => `${a} += dot4I8Packed(u32(${a}), id.x);`, 8);
    const workgroups = bytes / 16 / 256;
    const copyMs = await best(COPY, Math.min(workgroups, 32768), Math.ceil(workgroups / 32768), [from, to]);
    return { f32GFlops, int8Gops, copyGBps: (bytes * 2) / copyMs / 1e6 };
  } finally {
    for (const owned of [sink, from, to]) owned.destroy();
  }
}

/** Independent sums of subgroup matrices out of operands that stay in registers: what tensor cores do at best. */
export function tensorChains(cores: TensorCores, rounds: number): string {
  const sums = Array.from({ length: 8 }, (_, i) => `sum${i}`);
  const type = `subgroup_matrix_result<i32, ${cores.N}, ${cores.M}>`;
  const vectors = (rows: number) => `array<vec4u, ${(rows * cores.K) / 16}>`;
  const load = (matrix: string, from: string, order: string) =>
    `subgroupMatrixLoad<${matrix}, ${order}>(&${from}, 0u, ${(cores.K / 16) * cores.units}u)`;
  return `
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
var<workgroup> rows: ${vectors(cores.M)};
var<workgroup> columns: ${vectors(cores.N)};
@group(0) @binding(0) var<storage, read_write> sink: array<i32>;
@compute @workgroup_size(${TENSOR_SUBGROUPS * cores.subgroupSize})
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) i: u32) {
  for (var k = i; k < ${(cores.M * cores.K) / 16}u; k += ${TENSOR_SUBGROUPS * cores.subgroupSize}u) {
    rows[k] = vec4u(k * 0x01020301u + group.x);
  }
  for (var k = i; k < ${(cores.N * cores.K) / 16}u; k += ${TENSOR_SUBGROUPS * cores.subgroupSize}u) {
    columns[k] = vec4u(k * 0x03010201u + 1u);
  }
  workgroupBarrier();
  let left = ${load(`subgroup_matrix_left<i8, ${cores.K}, ${cores.M}>`, 'rows', 'row_major')};
  let right = ${load(`subgroup_matrix_right<i8, ${cores.N}, ${cores.K}>`, 'columns', 'col_major')};
  ${sums.map((sum, at) => `var ${sum} = ${type}(${at + 1});`).join('\n  ')}
  for (var round = 0u; round < ${rounds}u; round++) {
    ${sums.map((sum) => `${sum} = subgroupMatrixMultiplyAccumulate(left, right, ${sum});`).join('\n    ')}
  }
  ${sums.map((sum, at) => `subgroupMatrixStore<row_major>(&sink, (group.x * 8u + ${at}u) * ${cores.M * cores.N}u, ${sum}, ${cores.N}u);`).join('\n  ')}
}`;
}

const TENSOR_SUBGROUPS = 4;

/** GOP/s of i8 matrices with i32 sums, operands in registers. */
export async function measureTensorCores(device: GPUDevice, cores: TensorCores): Promise<number> {
  const [groups, rounds] = [2048, 2048];
  const sink = device.createBuffer({
    size: groups * 8 * cores.M * cores.N * 4,
    usage: GPUBufferUsage.STORAGE,
  });
  try {
    const ms = await fastest(device, tensorChains(cores, rounds), groups, 1, [sink]);
    return (groups * TENSOR_SUBGROUPS * rounds * 8 * 2 * cores.M * cores.N * cores.K) / ms / 1e6;
  } finally {
    sink.destroy();
  }
}

/** Milliseconds of a dispatch, the least of five after one to warm up. */
async function fastest(
  device: GPUDevice,
  code: string,
  x: number,
  y: number,
  buffers: readonly GPUBuffer[],
): Promise<number> {
  const module = device.createShaderModule({ code });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const entries = buffers.map((bound, binding) => ({ binding, resource: { buffer: bound } }));
  const group = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
  let least = Infinity;
  for (let run = 0; run < 6; run++) {
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(x, y);
    pass.end();
    const commands = encoder.finish();
    const start = performance.now();
    device.queue.submit([commands]);
    await device.queue.onSubmittedWorkDone();
    if (run > 0) least = Math.min(least, performance.now() - start);
  }
  return least;
}
