// Makes an image network's input of a texture's pixels: what preprocess-image makes of the same bytes.
//
// buffer   shape                              dtype
// source   source_height, source_width        rgba8unorm or bgra8unorm, such as copyExternalImageToTexture fills
// others   as of preprocess-image
//
// One thread makes one pixel: formula, tables and edges are those of shaders/preprocess-image.wgsl.
//
// A unorm texel is byte / 255 within an ULP or so, far from where another byte begins: rounding gives the byte back.
// source_width is not looked at.

override WORKGROUP_SIZE: u32 = 64u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var source: texture_2d<f32>;
@group(0) @binding(2) var<storage, read> spans: array<vec2u>;
@group(0) @binding(3) var<storage, read> weights: array<i32>;
@group(0) @binding(4) var<storage, read> values: array<f32>;
@group(0) @binding(5) var<storage, read_write> output: array<f32>;

fn pixel_at(x: u32, y: u32) -> vec4i {
  return vec4i(textureLoad(source, vec2u(x, y), 0) * 255.0 + 0.5);
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) grid: vec3u) {
  preprocess(id.x + id.y * grid.x * WORKGROUP_SIZE);
}
