export { RelationVersions } from "../../kit/relation-versions.ts";
