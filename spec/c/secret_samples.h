/* The sample of a secret, for test_store_records.c. */
#ifndef TK_SPEC_SECRET_SAMPLES_H
#define TK_SPEC_SECRET_SAMPLES_H

static const tk_secret sample_secret = {.key_id = {1, 2, 3, 4, 5, 6, 7, 8}, .created_at_us = EPOCH_US, .changed_at_us = EPOCH_US + 5,
                                        .sealed = {"sealed", 6}};

static bool secret_reads_back(tk_slice key, tk_slice record) {
  tk_secret secret;
  return tk_read_secret(key, record, &secret) && memcmp(secret.key_id, sample_secret.key_id, sizeof secret.key_id) == 0 &&
         secret.created_at_us == EPOCH_US && secret.changed_at_us == EPOCH_US + 5 && tk_slice_eq(secret.sealed, sample_secret.sealed);
}

#endif
