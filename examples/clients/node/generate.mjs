// node generate.mjs SCHEMAS LANGUAGE FOLDER: writes the types of Attune's contract for typescript, java or go.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  GO_COMMON_PRESET,
  GoGenerator,
  JAVA_JACKSON_PRESET,
  JavaGenerator,
  TypeScriptGenerator,
} from "@asyncapi/modelina";
import { fromFile, Parser } from "@asyncapi/parser";

const [schemas, language, folder] = process.argv.slice(2);
const { document, diagnostics } = await fromFile(new Parser(), join(schemas, "asyncapi.yaml")).parse();
const errors = diagnostics.filter(({ severity }) => severity === 0);
if (errors.length > 0) throw new Error(JSON.stringify(errors, null, 2));

const generators = {
  typescript: () => [new TypeScriptGenerator({ modelType: "interface", enumType: "union", rawPropertyNames: true }), "", ".ts"],
  java: () => [new JavaGenerator({ presets: [JAVA_JACKSON_PRESET], collectionType: "List" }), "attune", ".java"],
  go: () => [new GoGenerator({ presets: [{ preset: GO_COMMON_PRESET, options: { addJsonTag: true } }] }), "", ".go"],
};
const [generator, below, ending] = generators[language]();
const target = join(folder, below);
mkdirSync(target, { recursive: true });
for (const model of await generator.generateCompleteModels(document, { packageName: "attune" })) {
  writeFileSync(join(target, model.modelName + ending), model.result + "\n");
}
