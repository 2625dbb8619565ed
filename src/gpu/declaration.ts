import type { Call } from './call.ts';

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

/** How a shader sees one of its buffers. */
export interface BindingDeclaration {
  access: 'read' | 'write';
  type: ElementType | `atomic<${'u32' | 'i32'}>` | 'texture_2d<u32>' | 'texture_2d<f32>';
}

/** An `override` of a shader. */
export interface OverrideDeclaration {
  default: number;
  /** Values the kernel was designed and tested for; anything else is refused. */
  allowed?: readonly number[];
}

/** A kernel's bindings by name, in `@binding` order. */
export type Bindings = Record<string, BindingDeclaration>;
/** The fields of a shader's `Params` struct by name, in order. */
export type ParamTypes = Record<string, 'u32' | 'i32' | 'f32'>;
/** Objects as one, later ones first. */
type Merged<T extends readonly object[]> = T extends readonly [
  infer First extends object,
  ...infer Rest extends readonly object[],
]
  ? Omit<First, keyof Merged<Rest>> & Merged<Rest>
  : unknown;

/**
 * Bindings or params that kernels share and their own, these in place of, or after, those. Marked pure where it is
 * called: a spread would keep a declaration that nobody uses in a bundle.
 */
export function merged<const Parts extends readonly object[]>(...parts: Parts): Merged<Parts> {
  return Object.assign({}, ...parts) as Merged<Parts>;
}

/** What a call's parameters look like to TypeScript: one number a field of the WGSL `Params` struct. */
export type ParamValues<P extends ParamTypes> = { [K in keyof P]: number };
/** Values for `override`s, and right-hand sides for top-level `alias`/`const` declarations. */
export type Specialization = Record<string, number | string>;
/** A storage binding: a whole buffer, or a 256-byte-aligned slice of one. */
export type BufferSlice = GPUBuffer | { buffer: GPUBuffer; offset?: number; size?: number };
/**
 * What a binding takes: a buffer or a slice of one; `texture_2d<u32>` also a texture made by `uploadTexels`, and
 * `texture_2d<f32>` a texture alone, whose texels are loaded and not sampled.
 */
export type Resource<D extends BindingDeclaration = BindingDeclaration> = 'texture_2d<u32>' extends D['type']
  ? BufferSlice | GPUTexture
  : D['type'] extends 'texture_2d<f32>'
    ? GPUTexture
    : BufferSlice;

/** What {@link defineKernel} takes: a kernel's WGSL, and all that its shader says of itself once more, as types. */
export interface KernelDeclaration<B extends Bindings, P extends ParamTypes> {
  /** The stem shared by shaders/, src/kernels/, src/reference/, test/kernels/ and bench/. */
  name: string;
  /** Library files first, the kernel last; concatenated they are one legal WGSL module. */
  wgsl: readonly string[];
  /** Storage bindings in `@binding` order; binding 0 is the params uniform where there are params. */
  bindings: B;
  /** Fields of the `Params` struct, in order; every one is four bytes. */
  params: P;
  overrides?: Record<string, OverrideDeclaration>;
  /** Top-level `alias`/`const` names whose right-hand side may be replaced, with the values allowed. */
  constants?: Record<string, readonly string[]>;
  /** Features that the module enables. */
  requires?: readonly string[];
  /** Refuses parameters that the shader would be wrong for, each of which is in its type's range. */
  check?(
    name: string,
    params: Readonly<Record<string, number>>,
    specialization: Readonly<Record<string, number>>,
  ): void;
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
