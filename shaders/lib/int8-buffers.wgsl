// The buffers of the int8 convolutions and matrix products. Needs of the kernel: alias Loaded, the words that one load
// of the input gives, four int8 each.

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<Loaded>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> bias: array<vec4i>;
@group(0) @binding(4) var<storage, read> multipliers: array<vec2u>;
@group(0) @binding(5) var<storage, read_write> output: array<u32>;
