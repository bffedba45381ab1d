//! Patients, consent, roles, protocols, and the ClinicalSession workflow.
