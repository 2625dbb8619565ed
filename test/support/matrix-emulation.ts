import { defineKernel, type Kernel } from '../../src/gpu/kernel.ts';
import { conv2dInt8TensorKernel } from '../../src/kernels/conv2d-int8-tensor.ts';

/**
 * The built-ins of subgroup matrices in plain WGSL, for a subgroup of one lane. An operand is where it lies in workgroup
 * memory, which nobody writes before it is used; sums are kept apart and called by number. Products are noted down and
 * computed in one place: as many copies as the shader has products take a software adapter minutes to compile.
 */
const EMULATION = `
alias Left = vec2u;
alias Right = vec2u;
alias Sums = u32;
struct Product { left: vec2u, right: vec2u, sums: u32 }
// In workgroup memory: a private array whose index is not known is a ladder of branches on some adapters.
var<workgroup> emulated_sums: array<i32, SUBGROUPS * 16u * MATRIX_M * MATRIX_N>;
var<workgroup> products: array<Product, SUBGROUPS * 64u>;
var<private> product_count: u32;
var<private> own_subgroup: u32;
// A bound that no compiler knows: unrolled, these loops take as long.
fn rolled(count: u32) -> u32 {
  return min(count, params.pixel_count + 64u);
}
fn note(sums: u32, left: Left, right: Right) {
  products[own_subgroup * 64u + product_count] = Product(left, right, sums);
  product_count++;
}
fn multiply_noted() {
  for (var p = 0u; p < product_count; p++) {
    let product = products[own_subgroup * 64u + p];
    let left = product.left;
    let right = product.right;
    let sums = (own_subgroup * 16u + product.sums) * MATRIX_M * MATRIX_N;
    for (var i = 0u; i < rolled(MATRIX_M * MATRIX_N * MATRIX_K / 16u); i++) {
      let k = i % (MATRIX_K / 16u);
      let sum = i / (MATRIX_K / 16u);
      let x = tile_input[left.x + (sum / MATRIX_N) * left.y + k];
      let y = tile_weights[right.x + (sum % MATRIX_N) * right.y + k];
      let dot = vec4i(dot4I8Packed(x.x, y.x), dot4I8Packed(x.y, y.y), dot4I8Packed(x.z, y.z), dot4I8Packed(x.w, y.w));
      emulated_sums[sums + sum] += dot.x + dot.y + dot.z + dot.w;
    }
  }
  product_count = 0u;
}
fn store_sums(at: u32, id: Sums, stride: u32) {
  for (var i = 0u; i < rolled(MATRIX_M * MATRIX_N); i++) {
    tile_sums[at + (i / MATRIX_N) * stride + i % MATRIX_N] = emulated_sums[(own_subgroup * 16u + id) * MATRIX_M * MATRIX_N + i];
  }
}
`;

const REPLACEMENTS: readonly (readonly [string, string])[] = [
  ['alias Left = subgroup_matrix_left<i8, MATRIX_K, MATRIX_M>;\n', ''],
  ['alias Right = subgroup_matrix_right<i8, MATRIX_N, MATRIX_K>;\n', ''],
  ['alias Sums = subgroup_matrix_result<i32, MATRIX_N, MATRIX_M>;\n', ''],
  ['subgroupMatrixLoad<Left, row_major>(&tile_input, ', 'vec2u('],
  ['subgroupMatrixLoad<Right, col_major>(&tile_weights, ', 'vec2u('],
  ['    if (step >= steps) {\n', '    multiply_noted();\n    if (step >= steps) {\n'],
  ['subgroupMatrixStore<row_major>(&tile_sums, ', 'store_sums('],
  [
    '@builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) subgroup: u32,\n  @builtin(subgroup_invocation_id) lane: u32) {',
    '@builtin(local_invocation_index) thread: u32) {\n  let subgroup = thread;\n  own_subgroup = thread;\n  let lane = 0u;',
  ],
];

/** `conv2d-int8-tensor` with its matrix built-ins emulated, every other line its own; SUBGROUP_SIZE is '1u'. */
export function emulatedTensorKernel(change: readonly [string, string] = ['', '']): Kernel {
  const { declaration } = conv2dInt8TensorKernel;
  let source = declaration.wgsl.at(-1)!;
  for (const [from, to] of [...REPLACEMENTS, change]) {
    if (!source.includes(from)) throw new Error(`the shader has no line like ${from}`);
    source = source.replaceAll(from || '\u0000', to);
  }
  source = source
    .replace(
      /sum(\d)(\d) = subgroupMatrixMultiplyAccumulate\((left\1), (right\2), sum\1\2\);/g,
      (_, m, n, left, right) => `note(${4 * m + Number(n)}u, ${left}, ${right});`,
    )
    .replace(/var sum(\d)(\d): Sums;/g, (_, m, n) => `let sum${m}${n} = ${4 * m + Number(n)}u;`);
  if (/subgroupMatrix/.test(source)) throw new Error('a matrix built-in is not emulated');
  return defineKernel({
    ...declaration,
    name: `conv2d-int8-tensor emulated ${change[1]}`, // compiled kernels are kept by name
    wgsl: [...declaration.wgsl.slice(1, -1), source, EMULATION],
    constants: { ...declaration.constants, SUBGROUP_SIZE: ['1u'] },
    requires: [],
  } as never) as unknown as Kernel;
}
