// Expands packed codebook codes to f32: output[i] = codebook[code i]. Used to expand one layer's weights into
// scratch right before its convolution, so that only one layer at a time is ever uncompressed.
//
// buffer    shape              dtype
// codes     ceil(count / (32 / CODE_BITS))   u32, CODE_BITS (8, 4, 2, 1) each, first code lowest
// codebook  2^CODE_BITS or fewer             f32
// output    count                            vec4f (count is a multiple of 4)
//
// One thread writes one vec4f from 4 * CODE_BITS consecutive bits of one word. On lavapipe the batch-32 VGG with its
// codebooks expanded this way runs at 0.9 to 1.2 of the fp32 one, by the noise of the machine.

const CODE_BITS: u32 = 4u;
override WORKGROUP_SIZE: u32 = 64u;

struct Params {
  vector_count: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> codes: array<u32>;
@group(0) @binding(2) var<storage, read> codebook: array<f32>;
@group(0) @binding(3) var<storage, read_write> output: array<vec4f>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) count: vec3u) {
  let index = id.x + id.y * count.x * WORKGROUP_SIZE;
  if (index >= params.vector_count) {
    return;
  }
  let bit = index * 4u * CODE_BITS;
  let word = codes[bit / 32u] >> (bit % 32u);
  let mask = (1u << CODE_BITS) - 1u;
  output[index] = vec4f(codebook[word & mask], codebook[(word >> CODE_BITS) & mask],
    codebook[(word >> (2u * CODE_BITS)) & mask], codebook[(word >> (3u * CODE_BITS)) & mask]);
}
