import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { conv2dInt8TensorKernel } from '../../src/kernels/conv2d-int8-tensor.ts';

/**
 * The built-ins of subgroup matrices in plain WGSL, for a subgroup of one lane. An operand is where it lies in workgroup
 * memory, which nobody writes before it is used; sums are kept apart and called by number, 0 being all zeros.
 */
const EMULATION = `
alias Left = vec2u;
alias Right = vec2u;
alias Sums = u32;
var<private> emulated_sums: array<i32, (MATRICES_M * MATRICES_N + 1u) * MATRIX_M * MATRIX_N>;
var<private> emulated_count: u32;
// A bound that no compiler knows: unrolled, these loops take a software adapter minutes to compile.
fn rolled(count: u32) -> u32 {
  return min(count, params.pixel_count + 64u);
}
fn multiply(left: Left, right: Right, sums: Sums) -> Sums {
  var id = sums;
  if (id == 0u) {
    emulated_count++;
    id = emulated_count;
  }
  for (var m = 0u; m < rolled(MATRIX_M); m++) {
    for (var n = 0u; n < rolled(MATRIX_N); n++) {
      for (var k = 0u; k < rolled(MATRIX_K / 16u); k++) {
        let x = tile_input[left.x + m * left.y + k];
        let y = tile_weights[right.x + n * right.y + k];
        let dot = vec4i(dot4I8Packed(x.x, y.x), dot4I8Packed(x.y, y.y), dot4I8Packed(x.z, y.z), dot4I8Packed(x.w, y.w));
        emulated_sums[(id * MATRIX_M + m) * MATRIX_N + n] += dot.x + dot.y + dot.z + dot.w;
      }
    }
  }
  return id;
}
fn store_sums(at: u32, id: Sums, stride: u32) {
  for (var i = 0u; i < rolled(MATRIX_M * MATRIX_N); i++) {
    tile_sums[at + (i / MATRIX_N) * stride + i % MATRIX_N] = emulated_sums[id * MATRIX_M * MATRIX_N + i];
  }
}
`;

const REPLACEMENTS: readonly (readonly [string, string])[] = [
  ['alias Left = subgroup_matrix_left<i8, MATRIX_K, MATRIX_M>;\n', ''],
  ['alias Right = subgroup_matrix_right<i8, MATRIX_N, MATRIX_K>;\n', ''],
  ['alias Sums = subgroup_matrix_result<i32, MATRIX_N, MATRIX_M>;\n', ''],
  ['subgroupMatrixLoad<Left, row_major>(&tile_input, ', 'vec2u('],
  ['subgroupMatrixLoad<Right, col_major>(&tile_weights, ', 'vec2u('],
  ['subgroupMatrixMultiplyAccumulate(', 'multiply('],
  ['subgroupMatrixStore<row_major>(&tile_sums, ', 'store_sums('],
  [
    '@builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) subgroup: u32,\n  @builtin(subgroup_invocation_id) lane: u32) {',
    '@builtin(local_invocation_index) thread: u32) {\n  let subgroup = thread;\n  let lane = 0u;',
  ],
];

/** `conv2d-int8-tensor` with its matrix built-ins emulated, every other line its own; SUBGROUP_SIZE is '1u'. */
export function emulatedTensorKernel(change: readonly [string, string] = ['', '']): Kernel {
  const { declaration } = conv2dInt8TensorKernel;
  let source = declaration.wgsl.at(-1)!;
  for (const [from, to] of [...REPLACEMENTS, change]) {
    if (!source.includes(from)) throw new Error(`the shader has no line like ${from}`);
    source = source.replace(from, to);
  }
  return defineKernel({
    ...declaration,
    name: `conv2d-int8-tensor emulated ${change[1]}`, // compiled kernels are kept by name
    wgsl: [...declaration.wgsl.slice(1, -1), source, EMULATION],
    constants: { ...declaration.constants, SUBGROUP_SIZE: ['1u'] },
    requires: [],
  } as never) as unknown as Kernel;
}
