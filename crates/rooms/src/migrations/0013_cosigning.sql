-- What a witness cosigned last is looked for twice a second, among all that it ever cosigned.
CREATE INDEX cosignature_by_witness ON cosignature (origin, witness, size);
