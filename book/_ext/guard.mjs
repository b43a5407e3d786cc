// Jupyter Book 2 would build nothing here and report success. It loads plugins before any command: this one ends it.
import { writeSync } from "node:fs";

try {
  // Not console.error: process.exit may cut it short.
  writeSync(2, 'This report needs Jupyter Book 1: pip install "jupyter-book>=1.0.4.post1,<2"\n');
} finally {
  process.exit(1);
}
