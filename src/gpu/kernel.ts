import type { Call } from './call.ts';
import { check, LloydError } from './errors.ts';
import { copyToTexels, texelBytes, texelTexture } from './texels.ts';

/** Element types as WGSL spells them; `array<f32>` bindings are declared by their element. */
export type ElementType =
  | 'f32'
  | 'i32'
  | 'u32'
  | 'f16'
  | 'vec4f'
  | 'vec4u'
  | 'vec4i'
  | 'vec4h'
  | 'vec2u'
  | 'vec2f';

/** What a binding of four u32 a texel is declared as; it takes a buffer all the same ({@link Call.stage}). */
export const TEXELS = 'texture_2d<u32>';

export interface BindingDeclaration {
  access: 'read' | 'write';
  type: ElementType | `atomic<${'u32' | 'i32'}>` | typeof TEXELS;
}

export interface OverrideDeclaration {
  default: number;
  /** Values the kernel was designed and tested for; anything else is refused. */
  allowed?: readonly number[];
}

type Bindings = Record<string, BindingDeclaration>;
type ParamTypes = Record<string, 'u32' | 'i32' | 'f32'>;
type Overrides = Record<string, OverrideDeclaration>;
type Constants = Record<string, readonly string[]>;

/** What a call's parameters look like to TypeScript: one number a field of the WGSL `Params` struct. */
export type ParamValues<P extends ParamTypes> = { [K in keyof P]: number };
/** Values for `override`s, and right-hand sides for top-level `alias`/`const` declarations. */
export type Specialization = Record<string, number | string>;
/** A storage binding: a whole buffer, or a 256-byte-aligned slice of one. */
export type BufferSlice = GPUBuffer | { buffer: GPUBuffer; offset?: number; size?: number };
/** What a binding takes: a buffer or a slice of one; a texture binding also a texture made by `uploadTexels`. */
export type Resource<D extends BindingDeclaration = BindingDeclaration> = typeof TEXELS extends D['type']
  ? BufferSlice | GPUTexture
  : BufferSlice;
const isTexture = (resource: Resource): resource is GPUTexture => 'createView' in resource;

export interface KernelDeclaration<B extends Bindings, P extends ParamTypes> {
  /** The stem shared by shaders/, src/kernels/, src/reference/, test/kernels/ and bench/. */
  name: string;
  /** Library files first, the kernel last; concatenated they are one legal WGSL module. */
  wgsl: readonly string[];
  /** Storage bindings in `@binding` order; binding 0 is the params uniform where there are params. */
  bindings: B;
  /** Fields of the `Params` struct, in order; every one is four bytes. */
  params: P;
  overrides?: Overrides;
  /** Top-level `alias`/`const` names whose right-hand side may be replaced, with the values allowed. */
  constants?: Constants;
  /** Features that the module enables. */
  requires?: readonly string[];
  /** Refuses parameters that the shader would be wrong for, each of which is in its type's range. */
  check?(name: string, params: Readonly<Record<string, number>>): void;
  /** How many workgroups a call needs; more than the adapter allows in x is folded into y. */
  workgroups(
    params: ParamValues<P>,
    specialization: Record<string, number>,
  ): number | readonly [number, number, number];
}

/** A kernel compiled for one device and one specialization. */
export interface CompiledKernel<B extends Bindings = Bindings, P extends ParamTypes = ParamTypes> {
  readonly name: string;
  readonly specialization: Readonly<Record<string, number | string>>;
  readonly pipeline: GPUComputePipeline;
  bind(buffers: { [K in keyof B]: Resource<B[K]> }, params: ParamValues<P>): Call;
}

/** A declared kernel: compile it with `create`, bind it, encode it. */
export interface Kernel<B extends Bindings = Bindings, P extends ParamTypes = ParamTypes> {
  readonly declaration: KernelDeclaration<B, P>;
  /**
   * Compiles the kernel for `device`, once per specialization (cached).
   *
   * @param specialization `override` values and `alias`/`const` replacements that the kernel declares.
   * @throws LloydError for an unknown name, a value that is not allowed, a missing feature, or WGSL that
   *   does not compile (with the compiler's messages and the numbered source).
   */
  create(device: GPUDevice, specialization?: Specialization): Promise<CompiledKernel<B, P>>;
}

const compiled = new WeakMap<GPUDevice, Map<string, Promise<CompiledKernel>>>();

/**
 * Declares a kernel: the typed half of a hand-written `.wgsl`.
 *
 * @example
 * const scale = defineKernel({
 *   name: 'scale', wgsl: [source], params: { count: 'u32' },
 *   bindings: { input: { access: 'read', type: 'f32' }, output: { access: 'write', type: 'f32' } },
 *   overrides: { WORKGROUP_SIZE: { default: 256 } },
 *   workgroups: ({ count }, { WORKGROUP_SIZE }) => Math.ceil(count / WORKGROUP_SIZE),
 * });
 * const call = (await scale.create(device)).bind({ input, output }, { count: 1024 });
 */
export function defineKernel<const B extends Bindings, const P extends ParamTypes>(
  declaration: KernelDeclaration<B, P>,
): Kernel<B, P> {
  return {
    declaration,
    async create(device, specialization = {}) {
      const key = `${declaration.name}|${JSON.stringify(Object.entries(specialization).sort())}`;
      let perDevice = compiled.get(device);
      if (!perDevice) {
        perDevice = new Map();
        compiled.set(device, perDevice);
      }
      let promise = perDevice.get(key);
      if (!promise) {
        promise = compile(device, declaration as never, specialization);
        perDevice.set(key, promise);
        promise.catch(() => perDevice.delete(key));
      }
      return promise as unknown as Promise<CompiledKernel<B, P>>;
    },
  };
}

/** The WGSL a specialization compiles: libraries, kernel, and the replaced `alias`/`const` lines. */
export function assembleSource(
  declaration: Pick<KernelDeclaration<Bindings, ParamTypes>, 'name' | 'wgsl' | 'constants'>,
  specialization: Specialization = {},
): string {
  let source = declaration.wgsl.join('\n');
  for (const [name, allowed] of Object.entries(declaration.constants ?? {})) {
    const value = specialization[name];
    if (value === undefined) continue;
    check(
      allowed.length === 0 || allowed.includes(String(value)),
      `${declaration.name}: ${name} must be one of ${allowed.join(', ')}`,
      value,
    );
    const line = new RegExp(`^((?:alias|const)\\s+${name}\\b[^=]*=)[^;]*;`, 'm');
    check(
      line.test(source),
      `${declaration.name}: the WGSL declares no top-level alias or const ${name}`,
      name,
    );
    source = source.replace(line, `$1 ${value};`);
  }
  return source;
}

async function compile(
  device: GPUDevice,
  declaration: KernelDeclaration<Bindings, ParamTypes>,
  specialization: Specialization,
): Promise<CompiledKernel> {
  const { name, bindings, params } = declaration;
  const overrides = resolveOverrides(declaration, specialization);
  for (const feature of declaration.requires ?? []) {
    check(
      device.features.has(feature as GPUFeatureName),
      `${name} needs the device feature ${feature}`,
      [...device.features].join(' ') || 'no features',
      'request it in requiredFeatures, or choose another variant of the kernel',
    );
  }
  const code = assembleSource(declaration, specialization);
  const constants: Record<string, number> = {};
  for (const [key, value] of Object.entries(overrides)) {
    if (new RegExp(`^\\s*(@id\\(\\d+\\)\\s*)?override\\s+${key}\\b`, 'm').test(code)) constants[key] = value;
  }
  const hasParams = Object.keys(params).length > 0;
  const entries: GPUBindGroupLayoutEntry[] = Object.values(bindings).map(({ access, type }, index) => ({
    binding: index + (hasParams ? 1 : 0),
    visibility: GPUShaderStage.COMPUTE,
    ...(type === TEXELS
      ? { texture: { sampleType: 'uint' } }
      : { buffer: { type: access === 'read' ? 'read-only-storage' : 'storage' } }),
  }));
  if (hasParams)
    entries.unshift({ binding: 0, visibility: GPUShaderStage.COMPUTE, buffer: { type: 'uniform' } });
  const layout = device.createBindGroupLayout({ label: name, entries });
  const module = device.createShaderModule({ label: name, code });
  let pipeline: GPUComputePipeline;
  try {
    pipeline = await device.createComputePipelineAsync({
      label: name,
      layout: device.createPipelineLayout({ label: name, bindGroupLayouts: [layout] }),
      compute: { module, constants },
    });
  } catch (cause) {
    const { messages } = await module.getCompilationInfo();
    const lines = messages.map((m) => `  ${m.lineNum}:${m.linePos} ${m.type}: ${m.message}`).join('\n');
    const numbered = code
      .split('\n')
      .map((line, i) => `${String(i + 1).padStart(4)} ${line}`)
      .join('\n');
    throw new LloydError(
      `${name} does not compile with ${JSON.stringify(constants)}: ${(cause as Error).message}\n${lines}\n${numbered}`,
      undefined,
      undefined,
      { cause },
    );
  }
  return {
    name,
    specialization: { ...specialization, ...overrides },
    pipeline,
    bind: (buffers, values) => bind(device, declaration, overrides, pipeline, layout, buffers, values),
  };
}

function resolveOverrides(
  { name, overrides = {}, constants = {} }: KernelDeclaration<Bindings, ParamTypes>,
  specialization: Specialization,
): Record<string, number> {
  const values = Object.fromEntries(Object.entries(overrides).map(([key, o]) => [key, o.default]));
  for (const [key, value] of Object.entries(specialization)) {
    if (key in constants) {
      const number = Number.parseFloat(String(value));
      if (!Number.isNaN(number)) values[key] = number;
      continue;
    }
    const known = [...Object.keys(overrides), ...Object.keys(constants)].join(', ') || 'none';
    check(key in overrides, `${name} has no override or constant of that name (it has: ${known})`, key);
    const { allowed } = overrides[key];
    check(
      typeof value === 'number' && (!allowed || allowed.includes(value)),
      `${name}: ${key} must be ${allowed ? `one of ${allowed.join(', ')}` : 'a number'}`,
      value,
    );
    values[key] = value;
  }
  return values;
}

function bind(
  device: GPUDevice,
  declaration: KernelDeclaration<Bindings, ParamTypes>,
  overrides: Record<string, number>,
  pipeline: GPUComputePipeline,
  layout: GPUBindGroupLayout,
  buffers: Record<string, Resource>,
  values: Record<string, number>,
): Call {
  const { name, bindings, params } = declaration;
  const hasParams = Object.keys(params).length > 0;
  const packed = packParams(name, params, values);
  declaration.check?.(name, values);
  const workgroups = foldWorkgroups(device, name, declaration.workgroups(values, overrides));
  for (const key of Object.keys(buffers)) {
    check(
      key in bindings,
      `${name} binds ${Object.keys(bindings).join(', ')}`,
      key,
      'remove the extra buffer',
    );
  }
  const copies: { from: { buffer: GPUBuffer; offset: number; byteLength: number }; to: GPUTexture }[] = [];
  const entries: GPUBindGroupEntry[] = Object.keys(bindings).map((key, index) => {
    const slice: Resource | undefined = buffers[key];
    check(
      slice,
      `${name} needs a buffer for every binding (${Object.keys(bindings).join(', ')})`,
      `no ${key}`,
    );
    const binding = index + (hasParams ? 1 : 0);
    if (isTexture(slice)) {
      check(bindings[key].type === TEXELS, `${name}: ${key} must be a buffer`, 'a texture');
      return { binding, resource: slice.createView() };
    }
    const resource = 'buffer' in slice ? { ...slice } : { buffer: slice };
    const size = resource.size ?? resource.buffer.size - (resource.offset ?? 0);
    check(
      size <= device.limits.maxStorageBufferBindingSize,
      `${name}: ${key} must fit the adapter's maxStorageBufferBindingSize of ${device.limits.maxStorageBufferBindingSize} bytes`,
      size,
      'split the work, or bind a slice',
    );
    if (bindings[key].type !== TEXELS) return { binding, resource };
    const to = texelTexture(device, size, `${name} ${key}`);
    copies.push({ from: { buffer: resource.buffer, offset: resource.offset ?? 0, byteLength: size }, to });
    return { binding, resource: to.createView() };
  });
  let uniform: GPUBuffer | undefined;
  if (hasParams) {
    uniform = device.createBuffer({
      label: `${name} params`,
      size: packed.byteLength,
      usage: GPUBufferUsage.UNIFORM,
      mappedAtCreation: true,
    });
    new Uint8Array(uniform.getMappedRange()).set(new Uint8Array(packed));
    uniform.unmap();
    entries.unshift({ binding: 0, resource: { buffer: uniform } });
  }
  const group = device.createBindGroup({ label: name, layout, entries });
  const [x, y, z] = workgroups;
  return {
    kernel: name,
    workgroups,
    encode(pass) {
      if (x * y * z === 0) return;
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(x, y, z);
    },
    ...(copies.length > 0 && {
      stage: {
        bytes: copies.reduce((sum, { to }) => sum + texelBytes(to), 0),
        record(encoder: GPUCommandEncoder) {
          for (const { from, to } of copies) copyToTexels(encoder, from, to);
        },
      },
    }),
    destroy() {
      uniform?.destroy();
      for (const { to } of copies) to.destroy();
    },
  };
}

function packParams(name: string, types: ParamTypes, values: Record<string, number>): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(Math.max(16, Math.ceil(Object.keys(types).length / 4) * 16)));
  for (const key of Object.keys(values)) {
    check(
      key in types,
      `${name} takes the parameters ${Object.keys(types).join(', ')}`,
      key,
      'remove the extra one',
    );
  }
  for (const [index, [key, type]] of Object.entries(types).entries()) {
    const value = values[key];
    check(typeof value === 'number', `${name} needs a number for every parameter`, `no ${key}`);
    if (type === 'f32') view.setFloat32(index * 4, value, true);
    else {
      const [low, high] = type === 'u32' ? [0, 2 ** 32 - 1] : [-(2 ** 31), 2 ** 31 - 1];
      check(
        Number.isInteger(value) && value >= low && value <= high,
        `${name}: ${key} must be an integer from ${low} to ${high}`,
        value,
      );
      if (type === 'u32') view.setUint32(index * 4, value, true);
      else view.setInt32(index * 4, value, true);
    }
  }
  return view.buffer;
}

/** A dispatch wider than the limit continues in y; kernels take `id.x + id.y * num_workgroups.x` as their index. */
function foldWorkgroups(
  device: GPUDevice,
  name: string,
  asked: number | readonly [number, number, number],
): readonly [number, number, number] {
  const limit = device.limits.maxComputeWorkgroupsPerDimension;
  if (typeof asked === 'number') {
    if (asked <= limit) return [asked, 1, 1];
    const rows = Math.ceil(asked / limit);
    check(rows <= limit, `${name} may dispatch at most ${limit}^2 workgroups`, asked, 'split the work');
    return [Math.ceil(asked / rows), rows, 1];
  }
  check(
    asked.every((count) => count <= limit),
    `${name} may dispatch at most ${limit} workgroups in each dimension`,
    asked,
    'split the work',
  );
  return asked;
}
