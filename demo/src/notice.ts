import { h } from './dom.ts';

const CURES: [browser: string, matches: RegExp, cure: string][] = [
  [
    'Chrome or Edge',
    /Chrome\//,
    'Use version 113 or newer (Linux: enable chrome://flags/#enable-unsafe-webgpu and #enable-vulkan), with hardware acceleration on in the settings.',
  ],
  [
    'Firefox',
    /Firefox\//,
    'Use version 141 or newer on Windows, 145 on macOS; elsewhere set dom.webgpu.enabled in about:config.',
  ],
  [
    'Safari',
    /Version\/.*Safari\//,
    'Use version 26 or newer; in older ones turn on WebGPU under Settings, Feature Flags.',
  ],
];

/** What to do where there is no WebGPU: this browser's line first. */
export function missingWebgpu(detail?: string, retry: HTMLElement | false = false): HTMLElement {
  const own = CURES.find(([, pattern]) => pattern.test(navigator.userAgent));
  const rest = CURES.filter((cure) => cure !== own);
  const insecure = !window.isSecureContext;
  return problem(
    'This page needs WebGPU',
    detail
      ? `The browser knows WebGPU but gives no adapter: ${detail}. After a crash of the GPU’s driver it may need a restart.`
      : 'The network runs on your own GPU, and this browser offers no way to it.',
    insecure && h('p', {}, 'WebGPU exists on https and localhost only; this page came over plain http.'),
    h(
      'dl',
      {},
      ...[...(own ? [own] : []), ...rest].flatMap(([name, , cure]) => [
        h('dt', {}, name === own?.[0] ? `${name} (yours)` : name),
        h('dd', {}, cure),
      ]),
    ),
    retry,
  );
}

/** A titled message in place of the panels, or above them. */
export function problem(title: string, text: string, ...more: (HTMLElement | false)[]): HTMLElement {
  return h('section', { class: 'notice', role: 'alert' }, h('h2', {}, title), h('p', {}, text), ...more);
}
