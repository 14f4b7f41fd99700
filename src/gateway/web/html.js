// What every other module draws with: elements written as `html` templates, and preact's hooks.
import htm from "./third_party/htm/htm.mjs";
import { h } from "./third_party/preact/preact.mjs";

export const html = htm.bind(h);
export { render, Fragment } from "./third_party/preact/preact.mjs";
export {
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "./third_party/preact/hooks.mjs";
