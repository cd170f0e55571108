// Syncs of Salesforce's objects into its mock, for the tests of the destination.
import { onTestFinished } from "vitest";
import salesforce from "../../../src/destinations/salesforce/index.ts";
import { VendorRun, type VendorRunOptions } from "../../support/vendor-lane.ts";
import type { Fields, Texts } from "./object.ts";
import { SalesforceMock } from "./salesforce.ts";

const OBJECTS: Readonly<Record<string, Fields>> = {
  Account: {
    Ext__c: { type: "string", externalId: true },
    Number__c: { type: "double", externalId: true },
    Group__c: { type: "string", externalId: true, repeats: true },
    Name: { type: "string" },
    Revenue__c: { type: "double" },
    Active__c: { type: "boolean" },
    Born__c: { type: "date" },
    Tags__c: { type: "multipicklist", options: ["a", "b", "1"] },
    Score__c: { type: "double", readOnly: true },
  },
  Contact: {
    Ext__c: { type: "string", externalId: true },
    LastName: { type: "string", required: true },
    AccountId: { type: "reference", to: ["Account", "Account"] },
  },
};

export async function mockSalesforce(publicKey?: string): Promise<SalesforceMock> {
  const mock = await SalesforceMock.start({
    secret: "s3cret",
    objects: OBJECTS,
    ...(publicKey !== undefined && { publicKey }),
  });
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

export const LOGIN = { login_url: "https://acme.my.salesforce.com", client_id: "app", allow_private: true };

export async function run(mock: SalesforceMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: salesforce,
    settings: { ...LOGIN, client_secret: "s3cret", base_url: mock.server.url },
    object: "Account",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { Ext__c: "text", Name: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

export const asked = (mock: SalesforceMock): string[] =>
  mock.server.requests
    .slice(2)
    .map(({ method, url }) => `${method} ${url.replace("/services/data/v62.0/", "").split("?")[0]}`);
export const records = (mock: SalesforceMock, object = "Account"): Texts[] => [...mock.records(object).values()];
