/// <reference types="vite/client" />
// One stem, five rooms: a kernel's shader, declaration, CPU twin, tests and bench case exist together and agree.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { benchCases } from '../bench/cases/index.ts';
import { caseOfStem } from '../bench/cases/stems.ts';
import { defineKernel, type Kernel } from '../src/gpu/kernel.ts';
import * as kernels from '../src/kernels/index.ts';
import { useRuntime } from './support/runtime.ts';

const gpu = useRuntime();

const path = (relative: string) => fileURLToPath(new URL(`../${relative}`, import.meta.url));
const read = (relative: string) => readFileSync(path(relative), 'utf8');
const files = (folder: string, suffix: string) =>
  existsSync(path(folder))
    ? readdirSync(path(folder))
        .filter((name) => name.endsWith(suffix))
        .map((name) => name.slice(0, -suffix.length))
    : [];
const lineCount = (text: string) => text.trimEnd().split('\n').length;
const camelCase = (name: string) => name.replace(/[-_](\w)/g, (_, letter: string) => letter.toUpperCase());

type Declaration = Kernel['declaration'];
const modules = import.meta.glob<Record<string, unknown>>('../src/kernels/*.ts', { eager: true });
const declared = Object.entries(modules)
  .filter(([file]) => !file.endsWith('/index.ts'))
  .map(([file, exports]) => {
    const kernel = Object.values(exports).find((value) => value instanceof Object && 'declaration' in value);
    return { stem: file.replace(/^.*\/|\.ts$/g, ''), kernel: kernel as Kernel | undefined };
  });

/** What a module says of itself: names in camelCase, so that `axis_size` answers to `axisSize`. */
function describeModule(wgsl: string) {
  const code = wgsl.replace(/\/\/.*$/gm, '');
  const constants = new Map(
    [...code.matchAll(/^(?:alias|const)\s+(\w+)[^=;]*=\s*([^;]+);/gm)].map((m) => [m[1], m[2].trim()]),
  );
  const variables = [
    ...code.matchAll(/@group\((\d+)\)\s*@binding\((\d+)\)\s*var(?:<([^>]*)>)?\s*(\w+)\s*:\s*([^;]+);/g),
  ];
  // A variable without an address space is a texture, which is only read.
  const bindings = variables.map(([, group, binding, space = 'read', name, type]) => {
    const element = type.replace(/\s/g, '').replace(/^array<(.*)>$/, '$1');
    const access = space.includes('read_write') ? 'write' : space.includes('read') ? 'read' : space.trim();
    return {
      group: Number(group),
      index: Number(binding),
      name: camelCase(name),
      access,
      type: constants.get(element) ?? element,
    };
  });
  const struct = /struct Params\s*\{([^}]*)\}/.exec(code)?.[1] ?? '';
  const params = [...struct.matchAll(/(\w+)\s*:\s*(\w+)/g)].map(([, name, type]) => [camelCase(name), type]);
  const overrides = Object.fromEntries(
    [...code.matchAll(/override\s+(\w+)\s*(?::\s*\w+)?\s*=\s*(-?[\w.]+)\s*;/g)]
      .map(([, name, value]) => [name, Number(value.replace(/[iuf]$/, ''))] as const)
      .filter(([, value]) => !Number.isNaN(value)),
  );
  return { bindings, params, overrides, constants };
}

/** Every way in which a shader and its declaration disagree. */
function disagreements(declaration: Declaration): string[] {
  const { bindings, params, overrides, constants } = describeModule(declaration.wgsl.join('\n'));
  const found: string[] = [];
  const compare = (what: string, shader: unknown, declared: unknown) => {
    const [a, b] = [JSON.stringify(shader), JSON.stringify(declared)];
    if (a !== b) found.push(`${what}: the shader has ${a}, the declaration ${b}`);
  };
  const names = Object.entries(declaration.params).map(([name, type]) => [camelCase(name), type]);
  const uniform = { group: 0, index: 0, name: 'params', access: 'uniform', type: 'Params' };
  const expected = Object.entries(declaration.bindings).map(([name, { access, type }], i) => {
    return { group: 0, index: i + (names.length > 0 ? 1 : 0), name: camelCase(name), access, type };
  });
  compare('bindings', bindings, names.length > 0 ? [uniform, ...expected] : expected);
  compare('params', params, names);
  const defaults = Object.entries(declaration.overrides ?? {}).map(([name, o]) => [name, o.default] as const);
  const sorted = (entries: (readonly [string, number])[]) =>
    [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
  compare('overrides', sorted(Object.entries(overrides)), sorted(defaults));
  for (const [name, o] of Object.entries(declaration.overrides ?? {})) {
    if (o.allowed && !o.allowed.includes(o.default))
      found.push(`overrides: ${name} does not allow its own default`);
  }
  for (const [name, allowed] of Object.entries(declaration.constants ?? {})) {
    const value = constants.get(name);
    if (value === undefined) found.push(`constants: the shader declares no ${name}`);
    else if (allowed.length > 0 && !allowed.includes(value))
      found.push(`constants: ${name} does not allow its own ${value}`);
  }
  return found;
}

describe('one stem, five rooms', () => {
  test('every shader is declared and every declaration has its shader', () => {
    expect(declared.map(({ stem }) => stem).sort()).toEqual(files('shaders', '.wgsl').sort());
  });

  test('`kernels` holds every declared kernel, by its stem in camelCase', () => {
    const stems = Object.fromEntries(
      Object.entries(kernels).map(([name, { declaration }]) => [name, declaration.name]),
    );
    expect(stems).toEqual(Object.fromEntries(declared.map(({ stem }) => [camelCase(stem), stem])));
  });

  test('every kernel is timed by a case that exists, at every size', () => {
    expect(Object.keys(caseOfStem).sort()).toEqual(declared.map(({ stem }) => stem).sort());
    for (const size of ['tiny', 'quick', 'standard', 'gpu'] as const) {
      const names = new Set(benchCases(size).map(({ name }) => name.split('(')[0]));
      expect(Object.values(caseOfStem).filter((name) => !names.has(name))).toEqual([]);
    }
  });

  for (const { stem, kernel } of declared) {
    describe(stem, () => {
      test('has a twin and a test', () => {
        const rooms = [`src/reference/${stem}.ts`, `test/kernels/${stem}.test.ts`];
        expect(rooms.filter((room) => !existsSync(path(room)))).toEqual([]);
      });

      test('is declared under its stem, its own shader last', () => {
        expect(kernel?.declaration.name).toBe(stem);
        expect(kernel?.declaration.wgsl.at(-1)).toBe(read(`shaders/${stem}.wgsl`));
      });

      test('declares what its shader declares', () => {
        expect(disagreements(kernel!.declaration)).toEqual([]);
      });

      test('keeps to the sizes, and begins with its contract', () => {
        const shader = read(`shaders/${stem}.wgsl`);
        expect(lineCount(shader)).toBeLessThanOrEqual(300);
        expect(lineCount(read(`src/kernels/${stem}.ts`))).toBeLessThanOrEqual(60);
        expect(shader).toMatch(/^\/\/ \S/);
      });

      test('compiles at its defaults', async () => {
        const { device } = gpu.runtime;
        const missing = (kernel!.declaration.requires ?? []).filter(
          (name) => !device.features.has(name as GPUFeatureName),
        );
        if (missing.length > 0) {
          console.log(`${stem}: not compiled, 1 kernel skipped; this adapter lacks ${missing.join(', ')}`);
          return;
        }
        await kernel!.create(device);
      });
    });
  }
});

describe('the comparison itself', () => {
  const wgsl = `
struct Params { count: u32, axis_size: u32, }
override WORKGROUP_SIZE: u32 = 64u;
const TILE: u32 = 4u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> zero_point: array<atomic<u32>>;`;
  const declaration = defineKernel({
    name: 'sample',
    wgsl: [wgsl],
    bindings: { input: { access: 'read', type: 'f32' }, zeroPoint: { access: 'write', type: 'atomic<u32>' } },
    params: { count: 'u32', axisSize: 'u32' },
    overrides: { WORKGROUP_SIZE: { default: 64, allowed: [64] } },
    constants: { TILE: ['4u', '8u'] },
    workgroups: () => 1,
  }).declaration as unknown as Declaration;

  test('accepts a kernel that agrees', () => expect(disagreements(declaration)).toEqual([]));

  const { input, zeroPoint } = declaration.bindings;
  const wrongs: Record<string, Partial<Declaration>> = {
    'bindings in another order': { bindings: { zeroPoint, input } },
    'another access': { bindings: { input: { ...input, access: 'write' }, zeroPoint } },
    'another element type': { bindings: { input: { ...input, type: 'u32' }, zeroPoint } },
    'another name': { bindings: { source: input, zeroPoint } },
    'a missing binding': { bindings: { input } },
    'params in another order': { params: { axisSize: 'u32', count: 'u32' } },
    'another param type': { params: { count: 'i32', axisSize: 'u32' } },
    'a missing param': { params: { count: 'u32' } },
    'another default': { overrides: { WORKGROUP_SIZE: { default: 128 } } },
    'an override the shader lacks': { overrides: { ...declaration.overrides, TILES: { default: 1 } } },
    'a default that is not allowed': { overrides: { WORKGROUP_SIZE: { default: 64, allowed: [32] } } },
    'a constant the shader lacks': { constants: { TILES: [] } },
    'a constant that is not allowed': { constants: { TILE: ['8u'] } },
  };
  for (const [name, wrong] of Object.entries(wrongs)) {
    test(`catches ${name}`, () => expect(disagreements({ ...declaration, ...wrong })).toHaveLength(1));
  }
});
